import java.util.HashMap;

/** Hot loops of four kinds, long enough for both compilers. */
public class Jit {
    interface Body {
        double pull(double distance);
    }

    record Near(double mass) implements Body {
        public double pull(double distance) {
            return mass / (distance * distance + 1);
        }
    }

    record Far(double mass) implements Body {
        public double pull(double distance) {
            return mass / (distance + 2);
        }
    }

    static double virtualCalls(int rounds) {
        Body[] bodies = new Body[64];
        for (int i = 0; i < bodies.length; i++) {
            bodies[i] = i % 3 == 0 ? new Near(i) : new Far(i);
        }
        double sum = 0;
        for (int round = 0; round < rounds; round++) {
            for (Body body : bodies) sum += body.pull(round % 7);
        }
        return sum;
    }

    static int sieve(int limit) {
        boolean[] composite = new boolean[limit];
        int primes = 0;
        for (int i = 2; i < limit; i++) {
            if (composite[i]) continue;
            primes++;
            for (int k = 2 * i; k < limit; k += i) composite[k] = true;
        }
        return primes;
    }

    static long words(int count) {
        HashMap<String, Integer> counts = new HashMap<>();
        for (int i = 0; i < count; i++) counts.merge("word" + i * 31 % 997, 1, Integer::sum);
        long sum = 0;
        for (var entry : counts.entrySet()) sum += entry.getKey().hashCode() * (long) entry.getValue();
        return sum;
    }

    static long matrices(int size) {
        int[][] a = new int[size][size], b = new int[size][size];
        for (int i = 0; i < size; i++) {
            for (int k = 0; k < size; k++) {
                a[i][k] = i ^ k;
                b[i][k] = i + k;
            }
        }
        long trace = 0;
        for (int i = 0; i < size; i++) {
            for (int k = 0; k < size; k++) {
                int sum = 0;
                for (int j = 0; j < size; j++) sum += a[i][j] * b[j][k];
                trace += sum % 1000;
            }
        }
        return trace;
    }

    public static void main(String[] arguments) {
        double pull = 0;
        long sum = 0;
        for (int round = 0; round < 10; round++) {
            pull += virtualCalls(10000);
            sum += sieve(500000) + words(50000) + matrices(120);
        }
        System.out.println("result " + (long) pull + " " + sum);
    }
}
