import io.netty.bootstrap.Bootstrap;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.codec.http.DefaultFullHttpRequest;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpClientCodec;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import io.netty.handler.ssl.util.InsecureTrustManagerFactory;
import java.io.File;
import java.net.URI;
import java.util.concurrent.atomic.AtomicInteger;

/** HTTPS of Netty with BoringSSL: TlsNetty serve PORT CERT KEY, TlsNetty ask URL COUNT; over four connections. */
class TlsNetty {
    static final int CONNECTIONS = 4;

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("serve")) serve(Integer.parseInt(arguments[1]), arguments[2], arguments[3]);
        else ask(URI.create(arguments[1]), Integer.parseInt(arguments[2]));
    }

    static void serve(int port, String certificate, String key) throws Exception {
        SslContext tls = SslContextBuilder.forServer(new File(certificate), new File(key)).sslProvider(SslProvider.OPENSSL).build();
        new ServerBootstrap().group(new NioEventLoopGroup(2)).channel(NioServerSocketChannel.class).childHandler(new ChannelInitializer<Channel>() {
            protected void initChannel(Channel channel) {
                channel.pipeline().addLast(tls.newHandler(channel.alloc()), new HttpServerCodec(), new HttpObjectAggregator(65536), new Answers());
            }
        }).bind("127.0.0.1", port).sync();
    }

    static class Answers extends SimpleChannelInboundHandler<FullHttpRequest> {
        protected void channelRead0(ChannelHandlerContext context, FullHttpRequest request) {
            var body = Unpooled.wrappedBuffer("fine\n".getBytes());
            var answer = new DefaultFullHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.OK, body);
            answer.headers().set("content-length", 5);
            context.writeAndFlush(answer);
        }
    }

    static void ask(URI address, int count) throws Exception {
        SslContext tls = SslContextBuilder.forClient().sslProvider(SslProvider.OPENSSL).trustManager(InsecureTrustManagerFactory.INSTANCE).build();
        var left = new AtomicInteger(count);
        var group = new NioEventLoopGroup(2);
        var bootstrap = new Bootstrap().group(group).channel(NioSocketChannel.class).handler(new ChannelInitializer<Channel>() {
            protected void initChannel(Channel channel) {
                channel.pipeline().addLast(tls.newHandler(channel.alloc()), new HttpClientCodec(), new HttpObjectAggregator(65536), new Asks(address, left));
            }
        });
        Channel[] channels = new Channel[CONNECTIONS];
        for (int i = 0; i < CONNECTIONS; i++) channels[i] = bootstrap.connect(address.getHost(), address.getPort()).sync().channel();
        for (Channel channel : channels) channel.closeFuture().sync();
        group.shutdownGracefully();
    }

    /** One request after the other, until there are no more to send. */
    static class Asks extends SimpleChannelInboundHandler<FullHttpResponse> {
        final URI address;
        final AtomicInteger left;

        Asks(URI address, AtomicInteger left) {
            this.address = address;
            this.left = left;
        }

        public void channelActive(ChannelHandlerContext context) {
            next(context);
        }

        protected void channelRead0(ChannelHandlerContext context, FullHttpResponse answer) {
            next(context);
        }

        void next(ChannelHandlerContext context) {
            if (left.getAndDecrement() <= 0) {
                context.close();
                return;
            }
            var request = new DefaultFullHttpRequest(HttpVersion.HTTP_1_1, HttpMethod.GET, address.getPath());
            request.headers().set("host", "localhost");
            context.writeAndFlush(request);
        }
    }
}
