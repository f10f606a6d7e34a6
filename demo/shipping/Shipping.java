import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.URL;
import java.util.concurrent.Executors;

/** What it costs to send a product: asks the carrier, which is somebody else's. Eight threads, no more. */
public class Shipping {
    static final int THREADS = 8;
    static final String CARRIER = "http://carrier.example:18089/quotes/";

    public static void main(String[] arguments) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 18085), 50);
        server.setExecutor(Executors.newFixedThreadPool(THREADS));
        server.createContext("/shipping/", Shipping::quote);
        server.start();
    }

    static void quote(HttpExchange exchange) throws IOException {
        try (exchange; InputStream body = exchange.getRequestBody()) {
            // A slow client holds its thread here.
            body.readAllBytes();
            String id = exchange.getRequestURI().getPath().replaceFirst(".*/", "");
            try {
                answer(exchange, 200, ask(id));
            } catch (IOException error) {
                answer(exchange, 502, (error + "\n").getBytes());
            }
        }
    }

    static byte[] ask(String id) throws IOException {
        HttpURLConnection call = (HttpURLConnection) new URL(CARRIER + id).openConnection();
        call.setConnectTimeout(2000);
        call.setReadTimeout(5000);
        try (InputStream quote = call.getInputStream()) {
            return quote.readAllBytes();
        }
    }

    static void answer(HttpExchange exchange, int status, byte[] body) throws IOException {
        exchange.sendResponseHeaders(status, body.length);
        exchange.getResponseBody().write(body);
    }
}
