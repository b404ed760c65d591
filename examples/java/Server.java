// An HTTP server at port 8000 with the JDK's own com.sun.net.httpserver: /echo answers with the
// method, the query and the size of the body, /hash with the SHA-256 of the body, /lines?N with N
// lines in chunks of a length not told before.

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetSocketAddress;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.concurrent.Executors;

public class Server {
    private static void answer(HttpExchange exchange, String text) throws IOException {
        byte[] bytes = text.getBytes("UTF-8");
        exchange.sendResponseHeaders(200, bytes.length);
        exchange.getResponseBody().write(bytes);
        exchange.close();
    }

    private static void echo(HttpExchange exchange) throws IOException {
        long size = exchange.getRequestBody().transferTo(PrintStream.nullOutputStream());
        String query = exchange.getRequestURI().getQuery();
        answer(exchange, exchange.getRequestMethod() + " " + query + " " + size + "\n");
    }

    private static void hash(HttpExchange exchange) throws IOException {
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            byte[] block = new byte[16384];
            for (int size; (size = exchange.getRequestBody().read(block)) >= 0;) {
                digest.update(block, 0, size);
            }
            answer(exchange, HexFormat.of().formatHex(digest.digest()));
        } catch (java.security.NoSuchAlgorithmException e) {
            throw new IOException(e);
        }
    }

    private static void lines(HttpExchange exchange) throws IOException {
        int count = Integer.parseInt(exchange.getRequestURI().getQuery());
        exchange.sendResponseHeaders(200, 0);
        PrintStream out = new PrintStream(exchange.getResponseBody());
        for (int n = 0; n < count; n++) {
            out.println("line " + n);
        }
        out.close();
        exchange.close();
    }

    public static void main(String[] arguments) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress(8000), 0);
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.createContext("/echo", Server::echo);
        server.createContext("/hash", Server::hash);
        server.createContext("/lines", Server::lines);
        server.start();
        System.out.println("listening");
    }
}
