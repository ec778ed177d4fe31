import java.io.IOException;
import java.io.StringReader;
import java.io.StringWriter;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
import org.postgresql.util.PGobject;

/**
 * The JDBC driver with phash: what setString can do, where it needs a cast, and the ways to do without one.
 *
 * <p>Run by scripts/test-clients with one argument, the URL of a throwaway server with the extension created.
 * docs/clients.md shows pieces of this file.
 */
public final class JdbcClient {
    private static final String HASH = "c3a1f0e00f1e3c78";
    private static final String NEAR = "c3a1f0e00f1e3c79";
    private static final String FAR = "3c5e0f1ff0e1c387";

    private JdbcClient() {}

    /** A part of a test: SQL that may fail. */
    private interface Action {
        void run() throws SQLException, IOException;
    }

    public static void main(String[] arguments) throws SQLException, IOException {
        String url = arguments[0];
        try (Connection connection = DriverManager.getConnection(url)) {
            try (Statement statement = connection.createStatement()) {
                statement.execute("DROP TABLE IF EXISTS photos");
                statement.execute("CREATE TABLE photos (id bigint PRIMARY KEY, dhash phash(64), list phash(16)[])");
            }
            inserts(connection);
            searches(connection);
            comparisonsNeedACast(connection);
            otherWays(connection);
            arrays(connection);
            copies(connection);
            errors(connection);
        }
        String separator = url.contains("?") ? "&" : "?";
        try (Connection connection = DriverManager.getConnection(url + separator + "stringtype=unspecified")) {
            unspecifiedStrings(connection);
        }
        // With a prepared statement of the server from the first execution on.
        try (Connection connection = DriverManager.getConnection(url + separator + "prepareThreshold=1")) {
            searches(connection);
            preparedByTheServer(connection);
        }
    }

    /** setString sends varchar, which becomes a phash where it is stored. */
    private static void inserts(Connection connection) throws SQLException {
        try (PreparedStatement insert =
                connection.prepareStatement("INSERT INTO photos (id, dhash) VALUES (?, ?)")) {
            insert.setLong(1, 1);
            insert.setString(2, "c3a1f0e00f1e3c78");
            insert.executeUpdate();
        }
        try (PreparedStatement insert =
                connection.prepareStatement("INSERT INTO photos (id, dhash) VALUES (?, ?)")) {
            insert.setLong(1, 2);
            insert.setString(2, NEAR);
            insert.addBatch();
            insert.setLong(1, 3);
            insert.setString(2, FAR);
            insert.addBatch();
            insert.setLong(1, 4);
            insert.setString(2, null);
            insert.addBatch();
            check(Arrays.equals(insert.executeBatch(), new int[] {1, 1, 1}), "a batch");
        }
        try (PreparedStatement update = connection.prepareStatement("UPDATE photos SET dhash = ? WHERE id = ?")) {
            update.setString(1, FAR.toUpperCase());
            update.setLong(2, 3);
            check(update.executeUpdate() == 1, "an update");
        }
    }

    /** Everywhere else a parameter says what it is: ?::phash. */
    private static void searches(Connection connection) throws SQLException {
        List<String> found = new ArrayList<>();
        try (PreparedStatement near = connection.prepareStatement(
                "SELECT id, dhash, dhash <~> ?::phash AS distance FROM photos"
                        + " WHERE phash_within(dhash, ?::phash, ?) ORDER BY distance")) {
            near.setString(1, "c3a1f0e00f1e3c79");
            near.setString(2, "c3a1f0e00f1e3c79");
            near.setInt(3, 5);
            try (ResultSet rows = near.executeQuery()) {
                while (rows.next()) {
                    found.add(rows.getLong("id") + " " + rows.getString("dhash") + " " + rows.getInt("distance"));
                }
            }
        }
        same(List.of("2 " + NEAR + " 0", "1 " + HASH + " 1"), found);
        same(List.of("1", "2"), ids(connection, "dhash <@ phash_ball(?::phash, 5)", HASH));
        same(List.of("1"), ids(connection, "dhash = ?::phash", HASH));
        same(List.of("3"), ids(connection, "dhash <~> ?::phash > 60", HASH));
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT dhash FROM photos WHERE id IN (1, 4) ORDER BY id")) {
            rows.next();
            PGobject object = (PGobject) rows.getObject(1);
            same("phash " + HASH, object.getType() + " " + object.getValue());
            rows.next();
            check(rows.getString(1) == null && rows.wasNull(), "NULL");
        }
    }

    /** Without the cast there is no operator and no function for a varchar. */
    private static void comparisonsNeedACast(Connection connection) throws SQLException {
        fails("42883", () -> ids(connection, "dhash = ?", HASH));
        fails("42883", () -> ids(connection, "dhash <~> ? <= 5", HASH));
        fails("42883", () -> ids(connection, "phash_within(dhash, ?, 5)", HASH));
        fails("42883", () -> ids(connection, "dhash <@ phash_ball(?, 5)", HASH));
        // A byte array is a bytea, which becomes a phash only by a cast.
        byte[] bytes = HexFormat.of().parseHex(HASH);
        try (PreparedStatement insert =
                connection.prepareStatement("INSERT INTO photos (id, dhash) VALUES (10, ?)")) {
            insert.setBytes(1, bytes);
            fails("42804", insert::executeUpdate);
        }
        try (PreparedStatement insert =
                connection.prepareStatement("INSERT INTO photos (id, dhash) VALUES (10, ?::bytea::phash)")) {
            insert.setBytes(1, bytes);
            insert.executeUpdate();
        }
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT dhash::bytea FROM photos WHERE id = 10")) {
            rows.next();
            check(Arrays.equals(bytes, rows.getBytes(1)), "bytes");
        }
        execute(connection, "DELETE FROM photos WHERE id = 10");
    }

    /** Two ways to send a parameter that needs no cast. */
    private static void otherWays(Connection connection) throws SQLException {
        try (PreparedStatement select =
                connection.prepareStatement("SELECT id FROM photos WHERE phash_within(dhash, ?, 5) ORDER BY id")) {
            select.setObject(1, "c3a1f0e00f1e3c78", Types.OTHER); // without a type, as psql sends it
            same(List.of("1", "2"), ids(select));
            PGobject hash = new PGobject(); // with the type's name
            hash.setType("phash");
            hash.setValue("c3a1f0e00f1e3c78");
            select.setObject(1, hash);
            same(List.of("1", "2"), ids(select));
        }
    }

    private static void arrays(Connection connection) throws SQLException {
        try (PreparedStatement select =
                connection.prepareStatement("SELECT id FROM photos WHERE dhash = ANY (?) ORDER BY id")) {
            select.setArray(1, connection.createArrayOf("phash", new String[] {HASH, null, FAR}));
            same(List.of("1", "3"), ids(select));
        }
        try (PreparedStatement update = connection.prepareStatement("UPDATE photos SET list = ? WHERE id = 1")) {
            update.setArray(1, connection.createArrayOf("phash", new String[] {"abcd", "1234"}));
            update.executeUpdate();
        }
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT list FROM photos WHERE id = 1")) {
            rows.next();
            StringBuilder elements = new StringBuilder();
            for (Object element : (Object[]) rows.getArray(1).getArray()) {
                elements.append(element).append(' ');
            }
            same("abcd 1234 ", elements.toString());
        }
    }

    private static void copies(Connection connection) throws SQLException, IOException {
        CopyManager copies = connection.unwrap(PGConnection.class).getCopyAPI();
        String lines = "20\t" + HASH + "\n21\t\\N\n";
        same(2L, copies.copyIn("COPY photos (id, dhash) FROM STDIN", new StringReader(lines)));
        StringWriter out = new StringWriter();
        copies.copyOut("COPY (SELECT id, dhash FROM photos WHERE id >= 20 ORDER BY id) TO STDOUT", out);
        same(lines, out.toString());
        execute(connection, "DELETE FROM photos WHERE id >= 20");
    }

    private static void errors(Connection connection) throws SQLException {
        try (PreparedStatement insert =
                connection.prepareStatement("INSERT INTO photos (id, dhash) VALUES (30, ?)")) {
            insert.setString(1, "c3a1");
            fails("22026", insert::executeUpdate);
            insert.setString(1, "nothex");
            fails("22P02", insert::executeUpdate);
        }
        // A search with a hash of another width than the column's is refused, not answered with nothing.
        fails("42804", () -> ids(connection, "phash_within(dhash, ?::phash, 5)", "c3a1"));
        fails("22026", () -> ids(connection, "phash_within(dhash, ?::phash(64), 5)", "c3a1"));
    }

    /** With stringtype=unspecified in the URL no string has a type, and no cast is needed anywhere. */
    private static void unspecifiedStrings(Connection connection) throws SQLException {
        same(List.of("1"), ids(connection, "dhash = ?", HASH));
        same(List.of("1", "2"), ids(connection, "phash_within(dhash, ?, 5)", HASH));
        same(List.of("1", "2"), ids(connection, "dhash <~> ? <= 5", HASH));
        same(List.of("1", "2"), ids(connection, "dhash <@ phash_ball(?, 5)", HASH));
        try (PreparedStatement insert =
                connection.prepareStatement("INSERT INTO photos (id, dhash) VALUES (40, ?)")) {
            insert.setString(1, HASH);
            insert.executeUpdate();
            insert.setString(1, "c3a1");
            fails("22026", insert::executeUpdate);
        }
        execute(connection, "DELETE FROM photos WHERE id = 40");
    }

    /** The same statement often enough for the server to try a plan for all parameters. */
    private static void preparedByTheServer(Connection connection) throws SQLException {
        try (PreparedStatement select = connection.prepareStatement(
                "SELECT id FROM photos WHERE phash_within(dhash, ?::phash, ?) ORDER BY id")) {
            for (int i = 0; i < 20; i++) {
                select.setString(1, i % 2 == 0 ? HASH : FAR);
                select.setInt(2, 5);
                same(i % 2 == 0 ? List.of("1", "2") : List.of("3"), ids(select));
            }
        }
        execute(connection, "SET plan_cache_mode = force_generic_plan"); // another width is not seen any more ...
        same(List.of(), ids(connection, "phash_within(dhash, ?::phash, 5)", "c3a1"));
        fails("22026", () -> ids(connection, "phash_within(dhash, ?::phash(64), 5)", "c3a1")); // ... but by a cast
    }

    private static List<String> ids(Connection connection, String condition, String hash) throws SQLException {
        try (PreparedStatement select =
                connection.prepareStatement("SELECT id FROM photos WHERE " + condition + " ORDER BY id")) {
            select.setString(1, hash);
            return ids(select);
        }
    }

    private static List<String> ids(PreparedStatement select) throws SQLException {
        List<String> found = new ArrayList<>();
        try (ResultSet rows = select.executeQuery()) {
            while (rows.next()) {
                found.add(rows.getString("id"));
            }
        }
        return found;
    }

    private static void execute(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(sql);
        }
    }

    private static void fails(String state, Action action) {
        try {
            action.run();
        } catch (SQLException error) {
            check(state.equals(error.getSQLState()), "SQLSTATE " + error.getSQLState() + ": " + error.getMessage());
            return;
        } catch (IOException error) {
            throw new AssertionError(error);
        }
        throw new AssertionError("no error " + state);
    }

    private static void same(Object expected, Object found) {
        check(expected.equals(found), "expected " + expected + ", found " + found);
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }
}
