import java.util.*;

/** Long enough for the compilers: the same numbers interpreted, compiled and on-stack replaced. */
public class Jit {
    interface Shape { double area(); }
    record Square(double side) implements Shape {
        public double area() { return side * side; }
    }
    record Circle(double radius) implements Shape {
        public double area() { return 3 * radius * radius; }
    }

    static int collatz(long n) {
        int steps = 0;
        for (; n != 1; steps++) n = n % 2 == 0 ? n / 2 : 3 * n + 1;
        return steps;
    }

    static int primes(int limit) {
        boolean[] composite = new boolean[limit];
        int count = 0;
        for (int i = 2; i < limit; i++) {
            if (composite[i]) continue;
            count++;
            for (long k = (long) i * i; k < limit; k += i) composite[(int) k] = true;
        }
        return count;
    }

    public static void main(String[] args) {
        long longest = 0;
        for (int i = 1; i < 100000; i++) longest = Math.max(longest, collatz(i));
        System.out.println("collatz " + longest);
        System.out.println("primes " + primes(1000000));
        Random random = new Random(7);
        List<Shape> shapes = new ArrayList<>();
        for (int i = 0; i < 1000; i++) {
            shapes.add(i % 2 == 0 ? new Square(i) : new Circle(random.nextInt(10)));
        }
        double area = 0;
        for (int round = 0; round < 300; round++) for (Shape s : shapes) area += s.area();
        System.out.println("area " + area);
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < 50000; i++) text.append(i % 10);
        System.out.println("hash " + text.toString().hashCode());
        double[][] a = new double[120][120], b = new double[120][120], c = new double[120][120];
        for (int i = 0; i < 120; i++) for (int k = 0; k < 120; k++) a[i][k] = b[k][i] = i + k * 0.5;
        for (int i = 0; i < 120; i++) {
            for (int k = 0; k < 120; k++) {
                for (int j = 0; j < 120; j++) c[i][j] += a[i][k] * b[k][j];
            }
        }
        System.out.println("matrix " + c[119][119] + " " + c[3][77]);
    }
}
