import java.util.Objects;
import software.amazon.awssdk.enhanced.dynamodb.Key;
import software.amazon.awssdk.enhanced.dynamodb.mapper.annotations.DynamoDbBean;
import software.amazon.awssdk.enhanced.dynamodb.mapper.annotations.DynamoDbPartitionKey;
import software.amazon.awssdk.enhanced.dynamodb.mapper.annotations.DynamoDbSecondaryPartitionKey;
import software.amazon.awssdk.enhanced.dynamodb.mapper.annotations.DynamoDbSecondarySortKey;
import software.amazon.awssdk.enhanced.dynamodb.mapper.annotations.DynamoDbSortKey;

/** What the table holds, as the enhanced client maps it; what was not read is null. */
@DynamoDbBean
public class Reading {
    private String station;
    private Integer hour;
    private Double celsius;
    private String note;

    public Reading() {}

    Reading(String station, Integer hour, Double celsius, String note) {
        this.station = station;
        this.hour = hour;
        this.celsius = celsius;
        this.note = note;
    }

    @DynamoDbPartitionKey
    @DynamoDbSecondaryPartitionKey(indexNames = GlobalIndexes.COLDEST_FIRST)
    @DynamoDbSecondarySortKey(indexNames = GlobalIndexes.BY_HOUR)
    public String getStation() {
        return station;
    }

    public void setStation(String station) {
        this.station = station;
    }

    @DynamoDbSortKey
    @DynamoDbSecondaryPartitionKey(indexNames = GlobalIndexes.BY_HOUR)
    public Integer getHour() {
        return hour;
    }

    public void setHour(Integer hour) {
        this.hour = hour;
    }

    @DynamoDbSecondarySortKey(indexNames = {Readings.LOCAL_INDEX, GlobalIndexes.COLDEST_FIRST})
    public Double getCelsius() {
        return celsius;
    }

    public void setCelsius(Double celsius) {
        this.celsius = celsius;
    }

    public String getNote() {
        return note;
    }

    public void setNote(String note) {
        this.note = note;
    }

    Key key() {
        return Readings.key(station, hour);
    }

    Reading warmer(double by) {
        return new Reading(station, hour, celsius + by, note);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Reading that
                && Objects.equals(station, that.station)
                && Objects.equals(hour, that.hour)
                && Objects.equals(celsius, that.celsius)
                && Objects.equals(note, that.note);
    }

    @Override
    public int hashCode() {
        return Objects.hash(station, hour);
    }

    @Override
    public String toString() {
        String start = note == null ? null : note.substring(0, Math.min(note.length(), 20));
        return station + " " + hour + ": " + celsius + " °C, " + start;
    }
}
