/* Speaks to MariaDB through its C connector in every way that it has, and prints a line for each command that it sent:
 * the command's name (or the statement's first word) and the error's number, 0 if there was none.
 *
 *     mysql_client HOST PORT USER TIMES [compress]
 */
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void said(const char *operation, unsigned code)
{
	printf("%s %u\n", operation, code);
}

static void must(int failed, const char *what, const char *why)
{
	if (!failed)
		return;
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

static MYSQL *open_as(const char *host, int port, const char *user, int compress)
{
	MYSQL *db = mysql_init(NULL);
	unsigned on = 1;

	mysql_options(db, MYSQL_OPT_LOCAL_INFILE, &on);
	if (compress)
		mysql_options(db, MYSQL_OPT_COMPRESS, NULL);
	mysql_real_connect(db, host, user, "", NULL, port, NULL, CLIENT_MULTI_STATEMENTS);
	said("LOGIN", mysql_errno(db));
	return db;
}

/* One query, with all its results. */
static void query(MYSQL *db, const char *operation, const char *statement)
{
	unsigned code;

	mysql_query(db, statement);
	code = mysql_errno(db);
	while (!code) {
		mysql_free_result(mysql_store_result(db));
		if (mysql_next_result(db) < 0)
			break;
		code = mysql_errno(db);
	}
	said(operation, code);
}

static MYSQL_STMT *prepare(MYSQL *db, const char *statement)
{
	MYSQL_STMT *stmt = mysql_stmt_init(db);

	mysql_stmt_prepare(stmt, statement, strlen(statement));
	said("STMT_PREPARE", mysql_stmt_errno(stmt));
	return stmt;
}

static void finish(MYSQL_STMT *stmt)
{
	mysql_stmt_close(stmt);
	said("STMT_CLOSE", 0);
}

static void execute(MYSQL_STMT *stmt, const char *operation)
{
	mysql_stmt_execute(stmt);
	said(operation, mysql_stmt_errno(stmt));
}

static void prepared(MYSQL *db, int times)
{
	MYSQL_STMT *stmt = prepare(db, "SELECT id, name FROM shop WHERE id < ?");
	int id = 3;
	MYSQL_BIND bind = { .buffer_type = MYSQL_TYPE_LONG, .buffer = &id };

	mysql_stmt_bind_param(stmt, &bind);
	for (int i = 0; i < times; i++) {
		execute(stmt, "SELECT");
		must(mysql_stmt_store_result(stmt), "store", mysql_stmt_error(stmt));
		mysql_stmt_free_result(stmt);
	}
	finish(stmt);
}

static void long_data(MYSQL *db)
{
	static char data[2000];
	MYSQL_STMT *stmt = prepare(db, "INSERT INTO shop VALUES (9, ?)");
	MYSQL_BIND bind = { .buffer_type = MYSQL_TYPE_STRING };

	memset(data, 'S', sizeof(data));
	mysql_stmt_bind_param(stmt, &bind);
	for (int i = 0; i < 2; i++) {
		must(mysql_stmt_send_long_data(stmt, 0, data, sizeof(data)), "long data", mysql_stmt_error(stmt));
		said("STMT_SEND_LONG_DATA", 0);
	}
	execute(stmt, "INSERT");
	finish(stmt);
}

/* Several rows in one execution, then a statement that is prepared and executed without waiting in between. */
static void bulk_and_direct(MYSQL *db)
{
	unsigned rows = 3;
	int ids[] = { 11, 12, 13 };
	MYSQL_BIND bind = { .buffer_type = MYSQL_TYPE_LONG, .buffer = ids };
	MYSQL_STMT *stmt = prepare(db, "INSERT INTO shop VALUES (?, 'bulk')");

	mysql_stmt_attr_set(stmt, STMT_ATTR_ARRAY_SIZE, &rows);
	mysql_stmt_bind_param(stmt, &bind);
	execute(stmt, "INSERT");
	finish(stmt);
	stmt = mysql_stmt_init(db);
	must(mariadb_stmt_execute_direct(stmt, "DELETE FROM shop WHERE id > 8", -1), "direct", mysql_stmt_error(stmt));
	said("STMT_PREPARE", 0);
	said("DELETE", 0);
	finish(stmt);
}

static void others(MYSQL *db, const char *user)
{
	must(mysql_ping(db), "ping", mysql_error(db));
	said("PING", 0);
	mysql_select_db(db, "nowhere");
	said("INIT_DB", mysql_errno(db));
	must(mysql_select_db(db, "shop"), "select", mysql_error(db));
	said("INIT_DB", 0);
	must(!mysql_stat(db), "stat", mysql_error(db));
	said("STATISTICS", 0);
	must(mysql_set_server_option(db, MYSQL_OPTION_MULTI_STATEMENTS_ON), "option", mysql_error(db));
	said("SET_OPTION", 0);
	must(mysql_reset_connection(db), "reset", mysql_error(db));
	said("RESET_CONNECTION", 0);
	must(mysql_change_user(db, user, "", "shop"), "change user", mysql_error(db));
	said("CHANGE_USER", 0);
}

int main(int argc, char **argv)
{
	int compress = argc > 5, times, port;
	char rows[128];
	MYSQL *db;

	if (argc < 5)
		return 2;
	port = atoi(argv[2]);
	times = atoi(argv[4]);
	mysql_close(open_as(argv[1], port, "nobody-knows", compress));
	db = open_as(argv[1], port, argv[3], compress);
	must(mysql_errno(db), "connect", mysql_error(db));
	others(db, argv[3]);
	for (int i = 0; i < times; i++) {
		query(db, "SELECT", "SELECT id, name FROM shop ORDER BY id");
		query(db, "UPDATE", "UPDATE shop SET name = 'none' WHERE id = 77; SELECT 1; DO 2; SELECT name FROM shop");
		query(db, "SELECT", "SELECT missing FROM shop");
		query(db, "INSERT", "INSERT INTO shop VALUES (1, 'twice')");
		query(db, "DO", "DO 1; SELEC");
		query(db, "LOAD", "LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE words");
		long_data(db);
		bulk_and_direct(db);
		/* The server has nothing to close. */
		mysql_stmt_close(prepare(db, "SELEC ?"));
	}
	snprintf(rows, sizeof(rows), "SELECT REPEAT('a row of some length ', 20), seq FROM seq_1_to_%d", 20 * times);
	query(db, "SELECT", rows);
	prepared(db, 10 * times);
	mysql_close(db);
	said("QUIT", 0);
	return 0;
}
