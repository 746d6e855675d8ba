package mlflowreceiver

const (
	runsAtOnce = 100  // runs that are read whole in one transaction
	rowsAtOnce = 2000 // rows of one tail in one transaction
)

// tail reads what was inserted into a table. Nothing in MLflow's tables tells time: metric timestamps are the client's.
type tail struct {
	table string
	run   string // expression of the run that a row belongs to
	print string // expression of what makes a row that row
	limit int
}

var tails = []tail{
	{"runs", "t.run_uuid", "t.run_uuid", runsAtOnce},
	{"params", "t.run_uuid", `t.run_uuid || '/' || t."key"`, rowsAtOnce},
	{"metrics", "t.run_uuid", `t.run_uuid || '/' || t.step || '/' || t.timestamp || '/' || t."key"`, rowsAtOnce},
	{"tags", "t.run_uuid", `t.run_uuid || '/' || t."key"`, rowsAtOnce},
	{"inputs", "CASE WHEN t.destination_type = 'RUN' THEN t.destination_id ELSE t.source_id END", "t.input_uuid", rowsAtOnce},
}

// tailed is what one reading of all tails found.
type tailed struct {
	runs   []string
	marks  map[string]mark
	more   bool  // a tail was longer than its limit
	first  bool  // runs of the first reading are left
	behind int64 // inserted rows that were not read
	again  *again
	tags   bool // rows of tags went away
}

// again is why everything must be read again.
type again struct{ reason, table, what string }
