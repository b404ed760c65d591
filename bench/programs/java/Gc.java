/** Much garbage beside long-lived data: trees that die young, and old ones that are replaced. */
public class Gc {
    static class Node {
        Node left, right;
        final int value;

        Node(int depth, int value) {
            this.value = value;
            if (depth == 0) return;
            left = new Node(depth - 1, 2 * value);
            right = new Node(depth - 1, 2 * value + 1);
        }

        long sum() {
            return value + (left == null ? 0 : left.sum() + right.sum());
        }
    }

    public static void main(String[] arguments) {
        Node[] old = new Node[64];
        long sum = 0;
        for (int i = 0; i < 600; i++) {
            old[i * 7 % old.length] = new Node(12, i);
            for (int k = 0; k < 8; k++) sum += new Node(10, k).sum();
        }
        for (Node node : old) sum += node.sum();
        System.out.println("result " + sum);
    }
}
