package matcher;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.GZIPInputStream;

import software.amazon.event.ruler.Machine;

/**
 * event-ruler behind a pipe: one request a line, one answer a line, until the input ends.
 *
 * <pre>
 * events PATH          reads events, one a line, gzip by its name   ->  number of events
 * rules SECONDS PATH   a new machine, rules one a line, for at most so long  ->  number of rules, CPU ns
 * count                every event once                             ->  matches of each rule
 * pass FIRST           the first so many events                     ->  matches, CPU ns of this thread, wall ns
 * </pre>
 */
public final class Matching {

    private final ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    private List<String> events = List.of();
    private Machine machine = new Machine();
    private int rules = 0;

    public static void main(String[] none) throws Exception {
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Matching matching = new Matching();
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            System.out.println(matching.answer(line.split(" ", 3)));
            System.out.flush();
        }
    }

    private String answer(String[] request) throws Exception {
        switch (request[0]) {
            case "events":
                return load(request[1]);
            case "rules":
                return build(Double.parseDouble(request[1]), request[2]);
            case "count":
                return count();
            case "pass":
                return pass(Integer.parseInt(request[1]));
            default:
                throw new IllegalArgumentException(request[0]);
        }
    }

    private String load(String path) throws IOException {
        List<String> read = new ArrayList<>();
        try (BufferedReader lines = reader(path)) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                read.add(line);
            }
        }
        events = read;
        return String.valueOf(events.size());
    }

    private String build(double seconds, String path) throws IOException {
        machine = new Machine();
        rules = 0;
        long began = threads.getCurrentThreadCpuTime();
        try (BufferedReader lines = reader(path)) {
            for (String rule = lines.readLine(); rule != null; rule = lines.readLine()) {
                if (threads.getCurrentThreadCpuTime() - began > seconds * 1e9) {
                    break;
                }
                machine.addRule(String.valueOf(rules), rule);
                rules++;
            }
        }
        return rules + " " + (threads.getCurrentThreadCpuTime() - began);
    }

    private String count() throws Exception {
        long[] counts = new long[rules];
        for (String event : events) {
            for (String rule : machine.rulesForJSONEvent(event)) {
                counts[Integer.parseInt(rule)]++;
            }
        }
        StringBuilder told = new StringBuilder();
        for (long each : counts) {
            told.append(each).append(' ');
        }
        return told.toString().trim();
    }

    private String pass(int first) throws Exception {
        long matches = 0;
        long wall = System.nanoTime();
        long cpu = threads.getCurrentThreadCpuTime();
        for (int n = 0; n < first; n++) {
            matches += machine.rulesForJSONEvent(events.get(n)).size();
        }
        cpu = threads.getCurrentThreadCpuTime() - cpu;
        return matches + " " + cpu + " " + (System.nanoTime() - wall);
    }

    private static BufferedReader reader(String path) throws IOException {
        InputStream bytes = Files.newInputStream(Path.of(path));
        InputStream plain = path.endsWith(".gz") ? new GZIPInputStream(bytes) : bytes;
        return new BufferedReader(new InputStreamReader(plain, StandardCharsets.UTF_8));
    }
}
