package discover

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// process is one of this user's.
type process struct {
	pid int
	cwd string
	arg []string
}

func (p process) String() string { return fmt.Sprintf("process %d (%s)", p.pid, p.name()) }

// name is its program, or the script that it runs.
func (p process) name() string {
	name := filepath.Base(p.arg[0])
	if strings.HasPrefix(name, "python") && len(p.arg) > 1 {
		for i, a := range p.arg[1:] {
			if a == "-m" && i+2 < len(p.arg) {
				return p.arg[i+2]
			}
			if !strings.HasPrefix(a, "-") {
				return filepath.Base(a)
			}
			if a == "-c" {
				break
			}
		}
	}
	return name
}

const (
	maxCommand = 16 << 10 // bytes of a command line
	maxFiles   = 20_000   // open files of all processes
)

// processes looks at this user's processes: what their command lines say, what they listen on, the logs that they write.
func (l *looker) processes() {
	list := l.ownProcesses()
	for _, p := range list {
		if uri, server := mlflowServer(p); server {
			l.server(p, uri)
		}
	}
	sockets := readSockets(l.Proc)
	files := 0
	for _, p := range list {
		var ports []listener
		fds := filepath.Join(l.Proc, strconv.Itoa(p.pid), "fd")
		names, err := readNames(fds)
		if err != nil {
			continue
		}
		for _, fd := range names {
			files++
			if l.over(files > maxFiles, fmt.Sprintf("the look ended after %d open files of processes", maxFiles)) {
				return
			}
			to, err := os.Readlink(filepath.Join(fds, fd))
			if err != nil {
				continue
			}
			if inode, ok := strings.CutPrefix(to, "socket:["); ok {
				if s, ok := sockets.listening[strings.TrimSuffix(inode, "]")]; ok {
					ports = append(ports, s)
				}
				continue
			}
			if filepath.IsAbs(to) && isLog(filepath.Base(to)) && l.may(to) && l.writes(p.pid, fd) {
				l.log(to, p.String())
			}
		}
		l.scheduler(p, ports, sockets)
	}
}

func readNames(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// ownProcesses lists the processes of this user, but this one.
func (l *looker) ownProcesses() []process {
	names, err := readNames(l.Proc)
	if err != nil {
		return nil // not Linux
	}
	var pids []int
	for _, n := range names {
		if pid, err := strconv.Atoi(n); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	slices.Reverse(pids) // the latest, as a rule
	var list []process
	for _, pid := range pids {
		if l.over(len(list) == l.MaxProcesses, fmt.Sprintf("more than %d processes of this user: the latest were looked at", l.MaxProcesses)) {
			break
		}
		dir := filepath.Join(l.Proc, strconv.Itoa(pid))
		info, err := os.Stat(dir)
		if err != nil || !isOwn(info) {
			continue
		}
		command, err := readCommand(filepath.Join(dir, "cmdline"))
		if err != nil || len(command) == 0 {
			continue
		}
		cwd, _ := os.Readlink(filepath.Join(dir, "cwd"))
		list = append(list, process{pid: pid, cwd: cwd, arg: command})
	}
	return list
}

func readCommand(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	buf := make([]byte, maxCommand)
	n, err := f.Read(buf)
	if n == 0 {
		return nil, err
	}
	return strings.Split(string(bytes.TrimRight(buf[:n], "\x00")), "\x00"), nil
}

// writes says whether a process has a file open to write.
func (l *looker) writes(pid int, fd string) bool {
	info, err := os.ReadFile(filepath.Join(l.Proc, strconv.Itoa(pid), "fdinfo", fd))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(info)) {
		if flags, ok := strings.CutPrefix(line, "flags:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(flags), 8, 64)
			return err == nil && n&3 != 0
		}
	}
	return false
}

// option returns the value of --name value, or --name=value.
func option(args []string, names ...string) string {
	for i, a := range args {
		for _, name := range names {
			if a == name && i+1 < len(args) {
				return args[i+1]
			}
			if v, ok := strings.CutPrefix(a, name+"="); ok {
				return v
			}
		}
	}
	return ""
}

// mlflowServer says that a process is `mlflow server` or `mlflow ui`, and which store it names.
func mlflowServer(p process) (uri string, server bool) {
	for i, a := range p.arg {
		if i > 3 {
			break
		}
		name := filepath.Base(a)
		if (name == "mlflow" || name == "__main__.py" && strings.Contains(a, "mlflow")) && i+1 < len(p.arg) {
			if sub := p.arg[i+1]; sub == "server" || sub == "ui" {
				return option(p.arg, "--backend-store-uri"), true
			}
		}
	}
	return "", false
}

// server offers the database of an MLflow server.
func (l *looker) server(p process, uri string) {
	file, isFile := sqliteFile(p, uri)
	switch {
	case isFile && !l.may(file):
		l.note("%s keeps its runs in %s, which lies outside the directories that are allowed", p, file)
	case isFile:
		if !l.databases[file] {
			l.database(file, fmt.Sprintf("%s keeps its runs there", p))
		}
	case strings.HasPrefix(uri, "postgres"):
		l.postgres(p, uri)
	case uri == "":
		l.note("%s was started without --backend-store-uri, and there is no mlflow.db in %s", p, p.cwd)
	case !strings.Contains(uri, "://") || strings.HasPrefix(uri, "file:"):
		l.note("%s keeps its runs in the file store %s, which is not read: %s", p, uri, MoveFileStore(strings.TrimPrefix(uri, "file:")))
	default:
		l.note("%s keeps its runs in a database that is not read; SQLite and PostgreSQL are", p)
	}
}

// sqliteFile is the file of a store's URI; without one MLflow 3 has mlflow.db where it is started.
func sqliteFile(p process, uri string) (string, bool) {
	if uri == "" {
		uri = "sqlite:///mlflow.db"
		if _, err := os.Stat(filepath.Join(p.cwd, "mlflow.db")); err != nil {
			return "", false
		}
	}
	file, ok := strings.CutPrefix(uri, "sqlite:///")
	if !ok {
		return "", false
	}
	file, _, _ = strings.Cut(file, "?")
	if !filepath.IsAbs(file) {
		if p.cwd == "" {
			return "", false
		}
		file = filepath.Join(p.cwd, file)
	}
	return filepath.Clean(file), true
}

func (l *looker) postgres(p process, uri string) {
	shown, note := withoutPassword(uri)
	host := hostOf(shown)
	switch {
	case host == "":
		l.note("%s names no server in --backend-store-uri", p)
	case l.Host != nil && !l.Host(host):
		l.note("%s keeps its runs on %s, which is not among the hosts that are allowed", p, host)
	case !l.databases[shown]:
		l.databases[shown] = true
		l.offer("mlflow", shown, map[string]any{"tracking_uri": shown}, fmt.Sprintf("%s keeps its runs there", p), note)
	}
}

// MLflowServers are the stores of the MLflow servers of this user: by process, its command line's port and the database.
func MLflowServers(proc string) []Server {
	if proc == "" {
		proc = "/proc"
	}
	l := &looker{Options: Options{Proc: proc, MaxProcesses: Default().MaxProcesses}, ctx: context.Background(), ended: map[string]bool{}}
	var out []Server
	for _, p := range l.ownProcesses() {
		uri, server := mlflowServer(p)
		if !server {
			continue
		}
		s := Server{Process: p.String(), Port: option(p.arg, "--port", "-p")}
		if s.Port == "" {
			s.Port = "5000"
		}
		if file, ok := sqliteFile(p, uri); ok {
			s.Store = "sqlite:///" + file
		} else {
			s.Store, _ = withoutPassword(uri)
		}
		out = append(out, s)
	}
	return out
}

// Server is a running MLflow server.
type Server struct{ Process, Port, Store string }
