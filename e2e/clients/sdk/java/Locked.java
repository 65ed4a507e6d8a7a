import software.amazon.awssdk.enhanced.dynamodb.DynamoDbTable;
import software.amazon.awssdk.enhanced.dynamodb.TableSchema;
import software.amazon.awssdk.enhanced.dynamodb.extensions.annotations.DynamoDbAtomicCounter;
import software.amazon.awssdk.enhanced.dynamodb.extensions.annotations.DynamoDbVersionAttribute;
import software.amazon.awssdk.enhanced.dynamodb.mapper.annotations.DynamoDbBean;
import software.amazon.awssdk.enhanced.dynamodb.mapper.annotations.DynamoDbPartitionKey;
import software.amazon.awssdk.enhanced.dynamodb.mapper.annotations.DynamoDbSortKey;
import software.amazon.awssdk.services.dynamodb.model.ConditionalCheckFailedException;

/** An item with a version and a counter, which the enhanced client's extensions make conditions and updates of. */
@DynamoDbBean
public class Locked {
    private String station;
    private Integer hour;
    private String text;
    private Long version;
    private Long changes;

    @DynamoDbPartitionKey
    public String getStation() {
        return station;
    }

    public void setStation(String station) {
        this.station = station;
    }

    @DynamoDbSortKey
    public Integer getHour() {
        return hour;
    }

    public void setHour(Integer hour) {
        this.hour = hour;
    }

    public String getText() {
        return text;
    }

    public void setText(String text) {
        this.text = text;
    }

    @DynamoDbVersionAttribute
    public Long getVersion() {
        return version;
    }

    public void setVersion(Long version) {
        this.version = version;
    }

    @DynamoDbAtomicCounter
    public Long getChanges() {
        return changes;
    }

    public void setChanges(Long changes) {
        this.changes = changes;
    }

    static String lock(Main.Clients clients) throws Exception {
        DynamoDbTable<Locked> table = clients.enhanced().table(Readings.TABLE, TableSchema.fromBean(Locked.class));
        Locked written = new Locked();
        written.setStation("locked");
        written.setHour(0);
        written.setText("first");
        Locked first = table.updateItem(written);
        Locked stale = table.getItem(request -> request.key(Readings.key("locked", 0)).consistentRead(true));
        first.setText("second");
        Locked second = table.updateItem(first);
        Readings.same("the version", second.getVersion(), first.getVersion() + 1);
        Readings.same("the counter", second.getChanges(), first.getChanges() + 1);
        stale.setText("stale");
        Readings.refused(ConditionalCheckFailedException.class, () -> table.updateItem(stale));
        Locked deleted = table.deleteItem(Readings.key("locked", 0));
        Readings.same("the text", deleted.getText(), "second");
        return "version " + second.getVersion() + ", and a stale one refused";
    }
}
