import com.sun.management.OperatingSystemMXBean;
import java.lang.management.*;
import java.nio.*;
import java.nio.channels.*;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.stream.*;

/** What a Java program asks of its system, part by part: prints only what must not vary. */
public class Many {
    static void threads() throws Exception {
        LongAdder sum = new LongAdder();
        Thread[] all = new Thread[200];
        for (int i = 0; i < all.length; i++) {
            int id = i;
            all[i] = new Thread(() -> { for (int k = 0; k < 1000; k++) sum.add(id); });
            all[i].start();
        }
        for (Thread t : all) t.join();
        System.out.println("threads " + sum.sum());

        ExecutorService pool = Executors.newFixedThreadPool(16);
        List<Future<Integer>> results = new ArrayList<>();
        for (int i = 0; i < 500; i++) {
            int n = i;
            results.add(pool.submit(() -> n * n));
        }
        long total = 0;
        for (Future<Integer> f : results) total += f.get();
        pool.shutdown();
        System.out.println("pool " + total + " " + pool.awaitTermination(10, TimeUnit.SECONDS));
        System.out.println("parallel "
            + IntStream.range(0, 200000).parallel().mapToLong(x -> x % 7).sum());

        takeTurns();
        Thread sleeper = new Thread(() -> {
            try {
                Thread.sleep(100000);
            } catch (InterruptedException e) {
                System.out.println("interrupted");
            }
        });
        sleeper.start();
        sleeper.interrupt();
        sleeper.join();

        ScheduledExecutorService timer = Executors.newScheduledThreadPool(1);
        CountDownLatch ticks = new CountDownLatch(5);
        timer.scheduleAtFixedRate(ticks::countDown, 1, 2, TimeUnit.MILLISECONDS);
        System.out.println("ticks " + ticks.await(20, TimeUnit.SECONDS));
        timer.shutdownNow();
    }

    static void takeTurns() throws Exception {
        Object lock = new Object();
        int[] turns = {0};
        Thread[] pair = new Thread[2];
        for (int i = 0; i < 2; i++) {
            int me = i;
            pair[i] = new Thread(() -> {
                for (int k = 0; k < 500; k++) {
                    synchronized (lock) {
                        while (turns[0] % 2 != me) {
                            try {
                                lock.wait();
                            } catch (InterruptedException e) {
                                return;
                            }
                        }
                        turns[0]++;
                        lock.notifyAll();
                    }
                }
            });
            pair[i].start();
        }
        for (Thread t : pair) t.join();
        System.out.println("turns " + turns[0]);
    }

    static class Node {
        Node next;
        int value;
    }
    static int valueOf(Node n) { return n.value; }
    static int depth(int n) { return depth(n + 1) + 1; }

    /** Faults that the virtual machine makes exceptions of: SIGSEGV, guard pages, SIGFPE. */
    static void faults() {
        int nulls = 0;
        for (int i = 0; i < 20000; i++) {
            try {
                valueOf(i % 3 == 0 ? null : new Node());
            } catch (NullPointerException e) {
                nulls++;
            }
        }
        System.out.println("nulls " + nulls);
        int overflows = 0;
        for (int i = 0; i < 20; i++) {
            try {
                depth(0);
            } catch (StackOverflowError e) {
                overflows++;
            }
        }
        System.out.println("overflows " + overflows);
        try {
            System.out.println(1 / (overflows - 20));
        } catch (ArithmeticException e) {
            System.out.println(e);
        }
        try {
            List<long[]> hoard = new ArrayList<>();
            while (true) hoard.add(new long[1 << 18]);
        } catch (OutOfMemoryError e) {
            System.out.println(e);
        }
    }

    static void garbage() throws Exception {
        Map<Integer, byte[]> keep = new HashMap<>();
        long made = 0;
        for (int i = 0; i < 60000; i++) {
            byte[] b = new byte[2000];
            b[i % 2000] = (byte) i;
            keep.put(i % 1000, b);
            made += b.length;
        }
        long check = 0;
        for (byte[] bytes : keep.values()) for (byte x : bytes) check += x;
        System.out.println("garbage " + made + " " + keep.size() + " " + check);
        boolean collected = false;
        for (GarbageCollectorMXBean b : ManagementFactory.getGarbageCollectorMXBeans()) {
            collected |= b.getCollectionCount() > 0;
        }
        System.out.println("collected " + collected);
        String log = System.getProperty("gclog");
        if (log == null) return;
        List<String> lines = Files.readAllLines(Path.of(log));
        System.out.println("log " + lines.stream().allMatch(
            l -> l.matches("\\[\\d+\\.\\d{3}s\\]\\[info *\\]\\[gc *\\] .*")));
        System.out.println("told " + lines.stream().anyMatch(
            l -> l.matches(".*GC\\(\\d+\\) .* \\d+M(\\(\\d+%\\))?->\\d+M.*")));
    }

    static void files() throws Exception {
        Path dir = Files.createTempDirectory("many");
        Path file = dir.resolve("data");
        Files.write(file, "one\ntwo\nthree\n".getBytes());
        System.out.println(Files.readAllLines(file) + " " + Files.size(file));
        try (FileChannel c = FileChannel.open(file, StandardOpenOption.READ,
                 StandardOpenOption.WRITE)) {
            MappedByteBuffer map = c.map(FileChannel.MapMode.READ_WRITE, 0, 1 << 16);
            map.put(1000, (byte) 42);
            map.force();
            ByteBuffer one = ByteBuffer.allocate(1);
            c.read(one, 1000);
            System.out.println("mapped " + c.size() + " " + one.get(0));
            try (FileLock l = c.lock()) {
                System.out.println("lock " + l.isValid());
            }
        }
        Files.move(file, dir.resolve("moved"));
        try (Stream<Path> s = Files.list(dir)) {
            s.map(Path::getFileName).forEach(System.out::println);
        }
        Files.delete(dir.resolve("moved"));
        Files.delete(dir);
        try {
            Files.readString(file);
        } catch (NoSuchFileException e) {
            System.out.println("gone");
        }
    }

    static void selector() throws Exception {
        Pipe pipe = Pipe.open();
        Thread writer = new Thread(() -> {
            try {
                pipe.sink().write(ByteBuffer.wrap("through a pipe".getBytes()));
                pipe.sink().close();
            } catch (Exception e) {
                System.out.println(e);
            }
        });
        Selector selector = Selector.open();
        pipe.source().configureBlocking(false);
        pipe.source().register(selector, SelectionKey.OP_READ);
        writer.start();
        System.out.println("selected " + selector.select(10000));
        writer.join();
        ByteBuffer got = ByteBuffer.allocate(100);
        int n = pipe.source().read(got);
        System.out.println(new String(got.array(), 0, n));
        selector.close();
    }

    static void clocks() throws Exception {
        OperatingSystemMXBean os =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        ThreadMXBean threads = ManagementFactory.getThreadMXBean();
        long process = os.getProcessCpuTime();
        long own = threads.getCurrentThreadCpuTime();
        double x = 0;
        for (int i = 1; i < 3000000; i++) x += Math.sqrt(i);
        System.out.println("cpu " + (os.getProcessCpuTime() > process) + " "
            + (threads.getCurrentThreadCpuTime() > own) + " " + (long) x);
        long start = System.nanoTime();
        Thread.sleep(20);
        System.out.println("slept " + (System.nanoTime() - start >= 20000000L));
    }

    /** The heap's limit follows the memory; its granule is at most 32 MiB. */
    static void heap() {
        OperatingSystemMXBean os =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        long expected = os.getTotalMemorySize() / 4;
        System.out.println("quarter "
            + (Math.abs(Runtime.getRuntime().maxMemory() - expected) <= 32 << 20));
        System.out.println("cpus "
            + (Runtime.getRuntime().availableProcessors() == os.getAvailableProcessors()));
    }

    public static void main(String[] args) throws Exception {
        for (String part : args) {
            switch (part) {
                case "threads" -> threads();
                case "faults" -> faults();
                case "garbage" -> garbage();
                case "files" -> files();
                case "selector" -> selector();
                case "clocks" -> clocks();
                case "heap" -> heap();
                case "uncaught" -> valueOf(null);
                case "exit" -> System.exit(3);
                default -> throw new IllegalArgumentException(part);
            }
        }
    }
}
