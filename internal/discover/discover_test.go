package discover

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const steps = `2026-11-22 21:48:31 INFO: image 1 started
2026-11-22 21:48:32 INFO: image 1 saved images/1.npz defects=3
2026-11-22 21:48:33 INFO: image 2 started
2026-11-22 21:48:34 INFO: image 2 saved images/2.npz defects=4
`

// database has the beginning of an SQLite file in which MLflow's tables are, as migrations leave them.
const database = "SQLite format 3\x00...CREATE TABLE \"experiments\" (\n\texperiment_id ...CREATE TABLE params (key"

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func look(t *testing.T, dir string, change ...func(*Options)) Found {
	t.Helper()
	o := Default()
	o.Directories, o.Time, o.Proc = []string{dir}, time.Minute, filepath.Join(t.TempDir(), "no-proc")
	for _, c := range change {
		c(&o)
	}
	return Look(t.Context(), o)
}

func byKind(f Found, kind string) (out []Offer) {
	for _, o := range f.Offers {
		if o.Kind == kind {
			out = append(out, o)
		}
	}
	return out
}

func TestDirectories(t *testing.T) {
	dir := t.TempDir()
	db := write(t, dir, "runs/mlflow.db", database)
	write(t, dir, "runs/other.db", "SQLite format 3\x00 CREATE TABLE x (y)")
	write(t, dir, "runs/fake.db", "no database")
	write(t, dir, "images/1.npz", "x")
	write(t, dir, "logs/a.log", steps)
	write(t, dir, "logs/b.log", steps)
	write(t, dir, "prose/a.log", "Once upon a time\n")
	write(t, dir, "mlruns/0/meta.yaml", "experiment_id: '0'\n")
	write(t, dir, "mlruns/0/x/a.log", steps)
	write(t, dir, "env/pyvenv.cfg", "")
	write(t, dir, "env/a.log", steps)
	write(t, dir, ".hidden/a.log", steps)
	file := write(t, dir, "x.scheduler.json", `{"type": "Scheduler", "address": "tcp://10.0.0.1:8786", "workers": {}}`)
	elsewhere := t.TempDir()
	write(t, elsewhere, "logs/secret.log", steps)
	require.NoError(t, os.Symlink(elsewhere, filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink(filepath.Join(elsewhere, "logs/secret.log"), filepath.Join(dir, "logs/link.log")))

	f := look(t, dir)
	require.Len(t, f.Offers, 3, "%+v", f)
	assert.Equal(t, map[string]any{"scheduler_files": []any{file}}, byKind(f, "dask")[0].Config)
	assert.Equal(t, map[string]any{"tracking_uri": "sqlite:///" + db}, byKind(f, "mlflow")[0].Config)
	logs := byKind(f, "tasklog")[0]
	assert.Equal(t, []any{filepath.Join(dir, "logs", "*.log")}, logs.Config["include"])
	assert.Equal(t, "{log_dir}/..", logs.Config["base_dir"], "images/1.npz is there")
	assert.Contains(t, logs.Evidence, "2 logs; rules were made of ")
	assert.Contains(t, logs.Evidence, "take 4 of its 4 entries")
	notes := strings.Join(f.Notes, "\n")
	assert.Contains(t, notes, "mlruns is MLflow's file store, which is not read")
	assert.Contains(t, notes, "migrate-filestore")
	assert.Contains(t, notes, "no rules could be made of its lines")
	assert.NotContains(t, fmt.Sprintf("%+v", f), "secret.log", "what links lead to is not looked at")
	assert.Equal(t, f.Offers, look(t, dir).Offers, "ids stay")
}

func TestBounds(t *testing.T) {
	dir := t.TempDir()
	for i := range 100 {
		write(t, dir, fmt.Sprintf("%02d/a.log", i), steps)
	}
	f := look(t, dir, func(o *Options) { o.MaxEntries = 150 })
	assert.LessOrEqual(t, len(f.Offers), maxGroups)
	assert.Contains(t, strings.Join(f.Notes, "\n"), "after 150 entries of directories")
	f = look(t, dir, func(o *Options) { o.MaxDepth = 0 })
	assert.Empty(t, f.Offers)
	f = look(t, dir, func(o *Options) { o.Time = time.Nanosecond })
	assert.Empty(t, f.Offers)
	assert.Contains(t, strings.Join(f.Notes, "\n"), "the look ended after 1ns")
}

// recorded makes a /proc with a process of this user.
type recorded struct {
	t   *testing.T
	dir string
}

func (r recorded) process(pid int, cwd string, command ...string) {
	r.t.Helper()
	write(r.t, r.dir, fmt.Sprintf("%d/cmdline", pid), strings.Join(command, "\x00")+"\x00")
	require.NoError(r.t, os.MkdirAll(filepath.Join(r.dir, strconv.Itoa(pid), "fd"), 0o700))
	require.NoError(r.t, os.Symlink(cwd, filepath.Join(r.dir, strconv.Itoa(pid), "cwd")))
}

func (r recorded) open(pid, fd int, to string, flags string) {
	r.t.Helper()
	require.NoError(r.t, os.Symlink(to, filepath.Join(r.dir, strconv.Itoa(pid), "fd", strconv.Itoa(fd))))
	write(r.t, r.dir, fmt.Sprintf("%d/fdinfo/%d", pid, fd), "pos:\t0\nflags:\t"+flags+"\n")
}

const tcp = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2252 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1001 1
   1: 0100007F:9C40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1002 1
   2: 0100007F:9C41 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1003 1
   3: 0100007F:9C41 0100007F:8001 01 00000000:00000000 00:00000000 00000000     0        0 1004 1
   4: 0100007F:9C41 0100007F:8002 01 00000000:00000000 00:00000000 00000000     0        0 1005 1
   5: 0100007F:9C40 0100007F:8003 01 00000000:00000000 00:00000000 00000000     0        0 1006 1
   6: 0100007F:2253 0100007F:8004 01 00000000:00000000 00:00000000 00000000     0        0 1007 1
`

func TestProcesses(t *testing.T) {
	proc, dir := t.TempDir(), t.TempDir()
	r := recorded{t, proc}
	write(t, proc, "net/tcp", tcp)
	r.process(10, dir, "/usr/bin/python", "/env/bin/dask", "scheduler")
	r.open(10, 3, "socket:[1001]", "02")
	r.process(11, dir, "python", "search.py") // a LocalCluster: its scheduler has most connections
	r.open(11, 3, "socket:[1002]", "02")
	r.open(11, 4, "socket:[1003]", "02")
	write(t, proc, "11/maps", "7f00 /env/lib/msgpack/_cmsgpack.so\n7f01 /env/lib/tornado/speedups.abi3.so\n")
	log := write(t, dir, "out/run.log", steps)
	r.open(11, 5, log, "0100001")
	r.open(11, 6, write(t, t.TempDir(), "foreign.log", steps), "0100001")
	r.process(12, dir, "python", "/env/bin/mlflow", "server", "--backend-store-uri", "sqlite:///db/mlflow.db", "--port=5001")
	r.process(13, dir, "python", "-m", "mlflow", "ui", "--backend-store-uri=postgresql+psycopg2://ada:geheim@db.example.org/m")
	r.process(14, dir, "mlflow", "server", "--backend-store-uri", "./mlruns")
	r.process(15, dir, "mlflow", "server", "--backend-store-uri", "sqlite:////srv/mlflow.db")
	r.process(16, dir, "vim", "mlflow")

	f := look(t, dir, func(o *Options) { o.Proc = proc })
	var shown []string
	for _, o := range f.Offers {
		if o.Kind != "tasklog" {
			shown = append(shown, fmt.Sprint(o.Config, " ", o.Evidence, " ", o.Note))
		}
	}
	assert.ElementsMatch(t, []string{
		"map[schedulers:[tcp://127.0.0.1:8786]] process 10 (dask) is a Dask scheduler and listens there ",
		"map[schedulers:[tcp://127.0.0.1:40001]] process 11 (search.py) has Dask loaded and listens there, with 2 connections ",
		"map[tracking_uri:sqlite:///" + dir + "/db/mlflow.db] process 12 (mlflow) keeps its runs there ",
		"map[tracking_uri:postgresql://ada@db.example.org/m] process 13 (mlflow) keeps its runs there " +
			"its password is not part of the offer: give it as password",
	}, shown)
	logs := byKind(f, "tasklog")
	require.Len(t, logs, 1)
	assert.Contains(t, logs[0].Evidence, "run.log is open in process 11 (search.py)")
	notes := strings.Join(f.Notes, "\n")
	assert.Contains(t, notes, "process 14 (mlflow) keeps its runs in the file store ./mlruns")
	assert.Contains(t, notes, "/srv/mlflow.db, which lies outside the directories")
	assert.NotContains(t, fmt.Sprint(f), "geheim")

	f = look(t, dir, func(o *Options) { o.Proc, o.Host = proc, func(string) bool { return false } })
	assert.Empty(t, byKind(f, "dask"))
	assert.Contains(t, strings.Join(f.Notes, "\n"), "db.example.org, which is not among the hosts that are allowed")

	servers := MLflowServers(proc)
	assert.Contains(t, servers, Server{Process: "process 12 (mlflow)", Port: "5001", Store: "sqlite:///" + dir + "/db/mlflow.db"})
}

// The real /proc: a process with the name of a scheduler that listens is found, and is not connected to.
func TestRealProcess(t *testing.T) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("no /proc here")
	}
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listen.Close()
	socket, err := listen.(*net.TCPListener).File()
	require.NoError(t, err)
	defer socket.Close()
	program := filepath.Join(t.TempDir(), "dask-scheduler")
	require.NoError(t, os.Symlink("/bin/sleep", program))
	child := exec.Command(program, "600")
	child.ExtraFiles = []*os.File{socket}
	require.NoError(t, child.Start())
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	want := "tcp://" + listen.Addr().String()
	f := look(t, t.TempDir(), func(o *Options) { o.Proc = "" })
	var all []string
	for _, o := range byKind(f, "dask") {
		all = append(all, fmt.Sprint(o.Config))
	}
	assert.Contains(t, all, "map[schedulers:["+want+"]]")
	require.NoError(t, syscall.SetNonblock(int(socket.Fd()), true)) // which File and Fd end
	require.NoError(t, listen.(*net.TCPListener).SetDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = listen.Accept()
	assert.ErrorIs(t, err, os.ErrDeadlineExceeded, "nobody connected")
}
