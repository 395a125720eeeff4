import java.io.StringWriter;
import java.sql.*;
import java.util.Properties;
import org.postgresql.PGConnection;

/** What a Java program does through the driver; prints what it got. The argument is the database's URL. */
public class Reads {
  public static void main(String[] arguments) throws Exception {
    Properties properties = new Properties();
    properties.setProperty("user", "ada");
    properties.setProperty("prepareThreshold", "2");
    try (Connection connection = DriverManager.getConnection(arguments[0], properties)) {
      try (PreparedStatement statement = connection.prepareStatement("SELECT square, word FROM numbers WHERE id = ?")) {
        for (long id = 0; id < 6; id++) {  // from the third on a named statement, with binary values
          statement.setLong(1, id);
          try (ResultSet rows = statement.executeQuery()) {
            rows.next();
            System.out.println("lookup " + rows.getInt(1) + " " + rows.getString(2));
          }
        }
      }
      try (Statement statement = connection.createStatement();
          ResultSet rows = statement.executeQuery("SELECT * FROM kinds WHERE word <> ''")) {
        rows.next();
        System.out.println("kinds " + rows.getBoolean("flag") + " " + rows.getLong("long") + " " + rows.getBigDecimal("money") + " "
            + rows.getDouble("wide") + " " + rows.getDate("day") + " " + rows.getObject("unique") + " " + rows.getBytes("raw").length);
      }
      DatabaseMetaData meta = connection.getMetaData();
      try (ResultSet columns = meta.getColumns(null, "public", "revenue", null)) {
        while (columns.next()) {
          System.out.println("column " + columns.getString("COLUMN_NAME") + " " + columns.getString("TYPE_NAME"));
        }
      }
      try (ResultSet tables = meta.getTables(null, "public", "rev%", new String[] {"VIEW"})) {
        while (tables.next()) System.out.println("table " + tables.getString("TABLE_NAME") + " " + tables.getString("TABLE_TYPE"));
      }
      connection.setAutoCommit(false);
      try (Statement statement = connection.createStatement()) {
        statement.setFetchSize(30);  // a portal, 30 rows at a time
        long sum = 0;
        try (ResultSet rows = statement.executeQuery("SELECT id FROM numbers ORDER BY id")) {
          while (rows.next()) sum += rows.getLong(1);
        }
        System.out.println("sum " + sum);
        statement.execute("DECLARE c CURSOR FOR SUBSCRIBE revenue");
        int count = 0;
        try (ResultSet rows = statement.executeQuery("FETCH ALL c WITH (timeout = '0s')")) {
          while (rows.next()) count++;
        }
        System.out.println("subscribed " + (count == 3 || count == 0));
      }
      connection.rollback();
      connection.setAutoCommit(true);
      StringWriter copied = new StringWriter();
      connection.unwrap(PGConnection.class).getCopyAPI().copyOut("COPY (SELECT customer FROM revenue ORDER BY 1) TO STDOUT", copied);
      System.out.println("copied " + copied.toString().replace("\n", ","));
      try (Statement statement = connection.createStatement()) {
        statement.executeQuery("SELECT nope FROM revenue");
      } catch (SQLException error) {
        System.out.println("error " + error.getSQLState());
      }
    }
  }
}
