import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Consumer;
import software.amazon.awssdk.enhanced.dynamodb.DynamoDbIndex;
import software.amazon.awssdk.enhanced.dynamodb.Expression;
import software.amazon.awssdk.enhanced.dynamodb.Key;
import software.amazon.awssdk.enhanced.dynamodb.model.BatchGetItemEnhancedRequest;
import software.amazon.awssdk.enhanced.dynamodb.model.Page;
import software.amazon.awssdk.enhanced.dynamodb.model.QueryConditional;
import software.amazon.awssdk.enhanced.dynamodb.model.QueryEnhancedRequest;
import software.amazon.awssdk.enhanced.dynamodb.model.ReadBatch;
import software.amazon.awssdk.enhanced.dynamodb.model.ScanEnhancedRequest;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.dynamodb.model.Select;

/** Reads of items. */
final class Reads {
    private static final int SEGMENTS = 4;

    static String get(Main.Clients clients) {
        Reading first = Readings.first();
        for (boolean consistent : List.of(true, false)) {
            var found = clients.table().getItem(request -> request.key(first.key()).consistentRead(consistent));
            Readings.same("the item", found, first);
        }
        Readings.same("a missing item", clients.table().getItem(Readings.key("nowhere", 0)), null);
        return "the item twice, and none where there is none";
    }

    /** The enhanced client itself asks again for what is unprocessed. */
    static String batchGet(Main.Clients clients) {
        List<Reading> wanted = Readings.all().subList(0, 100);
        var batch = ReadBatch.builder(Reading.class).mappedTableResource(clients.table());
        wanted.forEach(reading -> batch.addGetItem(get -> get.key(reading.key()).consistentRead(true)));
        var pages = clients.enhanced()
                .batchGetItem(BatchGetItemEnhancedRequest.builder().readBatches(batch.build()).build());
        List<Reading> found = pages.resultsForTable(clients.table()).stream().toList();
        Readings.same(found, wanted);
        return found.size() + " items";
    }

    static String query(Main.Clients clients) {
        var filter = Expression.builder()
                .expression("celsius <> :zero AND begins_with(note, :start)")
                .putExpressionValue(":zero", AttributeValue.fromN("0"))
                .putExpressionValue(":start", AttributeValue.fromS("north "))
                .build();
        var pages = clients.table().query(request -> request
                .queryConditional(QueryConditional.sortBetween(Readings.key("north", 3), Readings.key("north", 22)))
                .filterExpression(filter)
                .attributesToProject("hour", "celsius")
                .scanIndexForward(false)
                .limit(8));
        List<Reading> found = new ArrayList<>();
        List<Integer> counts = new ArrayList<>();
        List<Integer> scanned = new ArrayList<>();
        for (Page<Reading> page : pages) {
            found.addAll(page.items());
            counts.add(page.count());
            scanned.add(page.scannedCount());
        }
        List<Reading> wanted = new ArrayList<>(Readings.all().stream()
                .filter(reading -> reading.getStation().equals("north"))
                .filter(reading -> reading.getHour() >= 3 && reading.getHour() <= 22 && reading.getCelsius() != 0)
                .map(reading -> new Reading(null, reading.getHour(), reading.getCelsius(), null))
                .toList());
        Collections.reverse(wanted);
        Readings.same("the items, backward", found, wanted);
        Readings.same("what was read of each page", scanned, List.of(8, 8, 4));
        return found.size() + " items in pages of " + counts;
    }

    /** In the index's order, with what the index has; asked for all attributes, with those of the table. */
    static String queryLocalIndex(Main.Clients clients) {
        DynamoDbIndex<Reading> index = clients.table().index(Readings.LOCAL_INDEX);
        var from = Key.builder().partitionValue("south").sortValue(0).build();
        var request = QueryEnhancedRequest.builder()
                .queryConditional(QueryConditional.sortGreaterThanOrEqualTo(from))
                .scanIndexForward(false)
                .consistentRead(true)
                .limit(5)
                .build();
        List<Reading> found = items(index.query(request).stream().toList());
        List<Reading> wanted = Readings.all().stream()
                .filter(reading -> reading.getStation().equals("south") && reading.getCelsius() >= 0)
                .sorted(Comparator.comparing(Reading::getCelsius).reversed())
                .toList();
        List<Reading> withoutNotes = wanted.stream()
                .map(reading -> new Reading(reading.getStation(), reading.getHour(), reading.getCelsius(), null))
                .toList();
        Readings.same("the items", found, withoutNotes);
        var whole = request.toBuilder().select(Select.ALL_ATTRIBUTES).limit(2).build();
        Page<Reading> warmest = index.query(whole).iterator().next();
        Readings.same("the warmest, whole", warmest.items(), wanted.subList(0, 2));
        return found.size() + " items from " + found.get(0).getCelsius() + " °C down";
    }

    /** The pages of a scan, or of one segment of it. */
    private static List<Page<Reading>> scanned(Main.Clients clients, Consumer<ScanEnhancedRequest.Builder> request) {
        return clients.table().scan(request).stream().toList();
    }

    private static List<Reading> items(List<Page<Reading>> pages) {
        return pages.stream().flatMap(page -> page.items().stream()).toList();
    }

    static String scan(Main.Clients clients) {
        var pages = scanned(clients, request -> {});
        Readings.same(items(pages), Readings.all());
        Readings.holds("more than 1 MB came in one page", pages.size() > 1);
        return items(pages).size() + " items in " + pages.size() + " pages";
    }

    static String scanSegments(Main.Clients clients) throws Exception {
        List<Callable<List<Page<Reading>>>> segments = new ArrayList<>();
        for (int segment = 0; segment < SEGMENTS; segment++) {
            int own = segment;
            segments.add(() -> scanned(clients,
                    request -> request.segment(own).totalSegments(SEGMENTS).consistentRead(true).limit(10)));
        }
        ExecutorService threads = Executors.newFixedThreadPool(SEGMENTS);
        try {
            List<Reading> found = new ArrayList<>();
            for (var segment : threads.invokeAll(segments)) {
                found.addAll(items(segment.get()));
            }
            Readings.same(found, Readings.all());
            return found.size() + " items in " + SEGMENTS + " segments";
        } finally {
            threads.shutdown();
        }
    }

    static String executeStatement(Main.Clients clients) {
        var selected = clients.client().executeStatement(request -> request
                .statement("SELECT * FROM \"" + Readings.TABLE + "\" WHERE station = ? AND \"hour\" >= ?")
                .parameters(AttributeValue.fromS("west"), AttributeValue.fromN("28")));
        List<Map<String, AttributeValue>> items = selected.items();
        List<Reading> all = Readings.all();
        Readings.same(Readings.mapped(items), all.subList(all.size() - 2, all.size()));
        return items.size() + " items";
    }

    private Reads() {}
}
