import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import software.amazon.awssdk.enhanced.dynamodb.Expression;
import software.amazon.awssdk.enhanced.dynamodb.Key;
import software.amazon.awssdk.enhanced.dynamodb.TableSchema;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;

/** The table's items: more than one page of 1 MB, in 4 partition keys. */
final class Readings {
    static final String TABLE = "readings.java";

    /** By celsius; it has the keys alone. */
    static final String LOCAL_INDEX = "by-celsius";

    static final Expression THERE = Expression.builder().expression("attribute_exists(station)").build();
    static final Expression NOT_THERE =
            Expression.builder().expression("attribute_not_exists(station)").build();

    private static final int HOURS = 30;
    private static final int SHOWN = 600;

    static List<Reading> all() {
        List<Reading> all = new ArrayList<>();
        for (String station : List.of("east", "north", "south", "west")) {
            for (int hour = 0; hour < HOURS; hour++) {
                all.add(new Reading(station, hour, celsiusAt(hour), (station + " " + hour + ", ").repeat(1200)));
            }
        }
        return all;
    }

    /** No two of a station's are alike, and their order is not that of its hours: an index by them has an order of its own. */
    private static double celsiusAt(int hour) {
        return hour * 7 % HOURS / 4.0 - 3;
    }

    static Reading first() {
        return all().get(0);
    }

    static Key key(String station, int hour) {
        return Key.builder().partitionValue(station).sortValue(hour).build();
    }

    /** What the client without mapping takes as a key. */
    static Map<String, AttributeValue> plainKey(String station, int hour) {
        return Map.of("station", AttributeValue.fromS(station), "hour", AttributeValue.fromN(String.valueOf(hour)));
    }

    static Map<String, AttributeValue> plain(Reading reading) {
        return TableSchema.fromBean(Reading.class).itemToMap(reading, true);
    }

    static List<Reading> mapped(List<Map<String, AttributeValue>> items) {
        return items.stream().map(TableSchema.fromBean(Reading.class)::mapToItem).toList();
    }

    /** That these items are the readings, in whatever order. */
    static void same(List<Reading> items, List<Reading> wanted) {
        List<Reading> found = new ArrayList<>(items);
        found.sort(Comparator.comparing(Reading::getStation).thenComparing(Reading::getHour));
        same("the number of items", found.size(), wanted.size());
        for (int index = 0; index < wanted.size(); index++) {
            same("item " + index, found.get(index), wanted.get(index));
        }
    }

    static void same(String what, Object found, Object wanted) {
        if (!Objects.equals(found, wanted)) {
            throw new AssertionError(what + ": expected " + shown(wanted) + ", got " + shown(found));
        }
    }

    static void holds(String what, boolean held) {
        if (!held) {
            throw new AssertionError(what);
        }
    }

    interface Call {
        Object run() throws Exception;
    }

    /** The exception of this type, and no other, that the call ends in. */
    static <E extends Exception> E refused(Class<E> type, Call call) throws Exception {
        Object answer;
        try {
            answer = call.run();
        } catch (Exception error) {
            if (type.isInstance(error)) {
                return type.cast(error);
            }
            throw error;
        }
        throw new AssertionError("expected " + type.getSimpleName() + ", got " + shown(answer));
    }

    /** Its beginning: an item is 10 KB long. */
    private static String shown(Object value) {
        String text = String.valueOf(value);
        return text.substring(0, Math.min(text.length(), SHOWN));
    }

    private Readings() {}
}
