package mlflowreceiver

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/otelcol-mida/otelcol-mida/internal/control"
	"github.com/otelcol-mida/otelcol-mida/internal/discover"
)

// doctor keeps how the last poll went; another goroutine asks.
type doctor struct {
	recent control.Recent
	last   atomic.Pointer[polled]
}

type polled struct {
	err  error
	runs int64 // that were read
	open int64
}

var _ control.Reporter = (*mlflowReceiver)(nil)

// Report implements control.Reporter.
func (r *mlflowReceiver) Report() control.Report {
	rep := control.Report{ID: r.set.ID.String(), Kind: "mlflow", Campaign: r.cfg.Campaign}
	p := control.Part{What: redactText(r.cfg.TrackingURI), State: control.Waiting, Problem: "it was not looked at yet"}
	if source, err := r.cfg.source(); err == nil {
		p.What = source.name()
		if source.local() != "" {
			p.What = "sqlite:///" + source.local()
		}
	}
	rep.Places = []string{p.What}
	if last := r.doctor.last.Load(); last != nil {
		p.State, p.Problem = r.cfg.explain(last.err)
		p.Saw = []control.Count{{What: "runs", N: last.runs}, {What: "open runs", N: last.open}}
	}
	if n := r.refused.Load(); n > 0 {
		p.Dropped = append(p.Dropped, control.Count{What: "refused by the pipeline", N: n})
	}
	if n := r.unusable.Load(); n > 0 {
		p.Dropped = append(p.Dropped, control.Count{What: "could not become a task", N: n})
	}
	p.Errors = r.doctor.recent.List()
	rep.Parts = []control.Part{p}
	return rep
}

// polled notes how a poll went.
func (d *doctor) polled(err error, k *keeper) {
	if err != nil && !errors.Is(err, errAbsent) {
		d.recent.Add(redactText(err.Error()))
	}
	d.last.Store(&polled{err: err, runs: int64(len(k.runs)), open: int64(len(k.open))})
}

// explain says what keeps a database from being read, and what to do about it.
func (c *Config) explain(err error) (control.PartState, string) {
	source, serr := c.source()
	if serr != nil {
		return control.Trouble, serr.Error()
	}
	if errors.Is(err, errLocked) && source.local() != "" { // SQLite does not tell the two apart
		if denied := mayRead(source.local()); denied != nil {
			err = denied
		}
	}
	switch reasonOf(err) {
	case "":
		return control.Reached, ""
	case "absent":
		return whereItMayBe(source.local())
	case "not_mlflow":
		return control.Trouble, notMLflow(source.local(), err)
	case "locked":
		return control.Waiting, "another program keeps it locked; it is read as soon as that lets go"
	case "unreachable":
		return control.Trouble, fmt.Sprintf("%s: start the server, or correct host and port in tracking_uri", redactText(err.Error()))
	case "denied":
		if source.local() == "" {
			return control.Trouble, fmt.Sprintf("%s: correct user and password (password, or PGPASSFILE), and GRANT SELECT on MLflow's tables "+
				"(docs/mlflow.md)", redactText(err.Error()))
		}
		return control.Trouble, fmt.Sprintf("%v: the collector runs as user %d, who may not read it; let that user read it and its directory "+
			"(chmod, setfacl), or run the collector as the user who writes it", err, os.Geteuid())
	}
	return control.Trouble, redactText(err.Error())
}

// whereItMayBe says where a database may be that is not where it was said to be. It opens none: to close a file would end
// the locks that another observer of this process has on it.
func whereItMayBe(path string) (control.PartState, string) {
	dir := filepath.Dir(path)
	text := fmt.Sprintf("the database does not exist yet; it is read from its first run on (a relative tracking_uri starts where the collector "+
		"was started, here it means %s)", path)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return control.Trouble, fmt.Sprintf("the directory %s does not exist: correct tracking_uri", dir)
	}
	store := filepath.Join(dir, "mlruns")
	if discover.IsFileStore(store, nil) {
		return control.Trouble, fmt.Sprintf("there is no database %s, but %s is MLflow's file store, which is not read: %s", path, store,
			discover.MoveFileStore(store))
	}
	for _, near := range []string{filepath.Join(dir, ".."), dir + "/*"} {
		if found, _ := filepath.Glob(filepath.Join(near, "mlflow.db")); len(found) > 0 {
			return control.Waiting, fmt.Sprintf("%s; %s is near: did the script run there? Then tracking_uri: sqlite:///%s", text, found[0], found[0])
		}
		stores, _ := filepath.Glob(filepath.Join(near, "mlruns"))
		for _, s := range stores {
			if discover.IsFileStore(s, nil) {
				return control.Waiting, fmt.Sprintf("%s; MLflow's file store %s is near, which is not read: %s", text, s, discover.MoveFileStore(s))
			}
		}
	}
	return control.Waiting, text
}

// notMLflow tells a database of another program from one of an MLflow that is too old, or half migrated.
func notMLflow(path string, err error) string {
	if missing, ok := strings.CutPrefix(err.Error(), errNotMLflow.Error()+": it has no table "); ok && !strings.Contains(missing, "runs") {
		uri := "URI"
		if path != "" {
			uri = "sqlite:///" + path
		}
		return fmt.Sprintf("its MLflow is too old to be read: it has no table %s; take a copy, then `mlflow db upgrade %s` with MLflow 1.30 or newer", missing, uri)
	}
	return fmt.Sprintf("%v: name MLflow's own database in tracking_uri, such as sqlite:///mlflow.db", err)
}

// serverHint names the database behind the address of an MLflow server, where that server runs here.
func serverHint(uri string) string {
	const plain = "a server's address is no database: name the one that the server keeps its runs in, what stands behind --backend-store-uri " +
		"of `mlflow server`"
	u, err := url.Parse(uri)
	if err != nil {
		return plain
	}
	for _, s := range discover.MLflowServers("") {
		if s.Port == u.Port() && s.Store != "" {
			return fmt.Sprintf("%s; here that is tracking_uri: %s (%s)", plain, s.Store, s.Process)
		}
	}
	return plain
}

var _ control.Checker = (*Config)(nil)

// Check implements control.Checker. It opens no server, and a database only to read it.
func (c *Config) Check() []control.Part {
	source, err := c.source()
	if err != nil || source.local() == "" {
		return nil // Validate says the former
	}
	part := func(err error) []control.Part {
		state, text := c.explain(err)
		return []control.Part{{What: "sqlite:///" + source.local(), State: state, Problem: text}}
	}
	info, err := os.Stat(source.local())
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && info.Size() == 0:
		return part(errAbsent)
	case err != nil:
		return part(err)
	}
	f, err := os.Open(source.local())
	if err != nil {
		return part(err)
	}
	f.Close()
	if !discover.IsMLflow(source.local()) {
		return part(errNotMLflow)
	}
	return nil
}
