import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.concurrent.Executors;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509ExtendedTrustManager;

/** HTTPS of Java: TlsShop serve PORT CERT KEY, TlsShop ask URL COUNT */
class TlsShop {
    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("serve")) serve(Integer.parseInt(arguments[1]), arguments[2], arguments[3]);
        else ask(URI.create(arguments[1]), Integer.parseInt(arguments[2]));
    }

    static void serve(int port, String certificate, String key) throws Exception {
        var server = HttpsServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.setHttpsConfigurator(new HttpsConfigurator(identity(certificate, key)));
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.createContext("/", exchange -> {
            exchange.sendResponseHeaders(200, 5);
            try (var body = exchange.getResponseBody()) {
                body.write("fine\n".getBytes());
            }
        });
        server.start();
    }

    static SSLContext identity(String certificate, String key) throws Exception {
        var store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        var words = Files.readString(Path.of(key)).replaceAll("-----[A-Z ]+-----|\\s", "");
        var secret = KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(words)));
        try (var file = Files.newInputStream(Path.of(certificate))) {
            var chain = CertificateFactory.getInstance("X.509").generateCertificates(file).toArray(new X509Certificate[0]);
            store.setKeyEntry("shop", secret, new char[0], chain);
        }
        var managers = KeyManagerFactory.getInstance("SunX509");
        managers.init(store, new char[0]);
        var context = SSLContext.getInstance("TLS");
        context.init(managers.getKeyManagers(), null, null);
        return context;
    }

    static void ask(URI address, int count) throws Exception {
        var context = SSLContext.getInstance("TLS");
        context.init(null, new TrustManager[] {new Anybody()}, null);
        var client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).sslContext(context).build();
        for (int i = 0; i < count; i++) client.send(HttpRequest.newBuilder(address).build(), BodyHandlers.ofString());
    }

    /** What is tested is not the client. */
    static class Anybody extends X509ExtendedTrustManager {
        public void checkClientTrusted(X509Certificate[] chain, String type, java.net.Socket socket) {}

        public void checkServerTrusted(X509Certificate[] chain, String type, java.net.Socket socket) {}

        public void checkClientTrusted(X509Certificate[] chain, String type, javax.net.ssl.SSLEngine engine) {}

        public void checkServerTrusted(X509Certificate[] chain, String type, javax.net.ssl.SSLEngine engine) {}

        public void checkClientTrusted(X509Certificate[] chain, String type) {}

        public void checkServerTrusted(X509Certificate[] chain, String type) {}

        public X509Certificate[] getAcceptedIssuers() {
            return new X509Certificate[0];
        }
    }
}
