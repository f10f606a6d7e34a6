// PostgreSQL in pipeline mode: batches of statements before the first answer is read. Prints the statements that were
// answered and those that PostgreSQL refused (the middle one of a batch fails and takes what follows it along).
//
//   pg_pipeline CONNINFO BATCHES
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEPTH = 20 };

static void fail(PGconn *connection, const char *what)
{
	fprintf(stderr, "%s: %s", what, PQerrorMessage(connection));
	exit(1);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	PGconn *connection = PQconnectdb(argv[1]);
	if (PQstatus(connection) != CONNECTION_OK)
		fail(connection, "connect");
	PGresult *prepared = PQprepare(connection, "pick", "SELECT $1::int + 41", 1, NULL);
	if (PQresultStatus(prepared) != PGRES_COMMAND_OK || !PQenterPipelineMode(connection))
		fail(connection, "prepare");
	PQclear(prepared);
	int answered = 0, refused = 0;
	for (int batch = 0; batch < atoi(argv[2]); batch++) {
		for (int i = 0; i < DEPTH; i++) {
			const char *values[] = {"1"};
			if (!PQsendQueryPrepared(connection, "pick", 1, values, NULL, NULL, 0))
				fail(connection, "send");
		}
		// A batch of one that fails, so that nothing is skipped with it.
		if (!PQpipelineSync(connection) || !PQsendQueryParams(connection, "SELECT 1/0", 0, NULL, NULL, NULL, NULL, 0))
			fail(connection, "send");
		if (!PQpipelineSync(connection))
			fail(connection, "sync");
		for (int syncs = 0; syncs < 2;) {
			PGresult *result = PQgetResult(connection);
			ExecStatusType status = PQresultStatus(result);
			if (result == NULL)
				continue;
			answered += status == PGRES_TUPLES_OK;
			refused += status == PGRES_FATAL_ERROR;
			syncs += status == PGRES_PIPELINE_SYNC;
			PQclear(result);
		}
	}
	PQfinish(connection);
	printf("%d %d\n", answered, refused);
	return 0;
}
