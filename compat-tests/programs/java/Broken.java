/** The compiler complains about it. */
public class Broken {
    int number = "text";
    void missing() { return nothing; }
}
