/** Ends the process with its standard input, where asked for: a server does not outlive the test that started it. */
final class Until {
    static void end() throws Exception {
        if (Boolean.getBoolean("mida.stdin")) {
            while (System.in.read() >= 0) { }
            System.exit(0);
        }
        Thread.currentThread().join();
    }
}
