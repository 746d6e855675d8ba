package discover

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// passedOver are directories in which nobody keeps results.
var passedOver = map[string]bool{
	"node_modules": true, "__pycache__": true, "site-packages": true, "mida-data": true, "proc": true, "sys": true, "venv": true,
}

// directories looks into the directories, level by level, so that what lies near is found first.
func (l *looker) directories() {
	type level struct {
		dir   string
		depth int
	}
	var queue []level
	for _, d := range l.Directories {
		queue = append(queue, level{d, 0})
	}
	for len(queue) > 0 {
		dir, depth := queue[0].dir, queue[0].depth
		queue = queue[1:]
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.note("%s cannot be looked into: %v", dir, err)
			continue
		}
		if l.fileStore(dir, entries) || isVenv(entries) {
			continue
		}
		for _, e := range entries {
			l.entries++
			if l.over(l.entries > l.MaxEntries, fmt.Sprintf("the look ended after %d entries of directories; name narrower directories", l.MaxEntries)) {
				return
			}
			path := filepath.Join(dir, e.Name())
			switch {
			case e.IsDir():
				if depth < l.MaxDepth && !passedOver[e.Name()] && e.Name()[0] != '.' {
					queue = append(queue, level{path, depth + 1})
				}
			case e.Type().IsRegular():
				l.file(path)
			}
		}
	}
}

func isVenv(entries []fs.DirEntry) bool {
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == "pyvenv.cfg" })
}

// fileStore says that a directory is MLflow's file store, which cannot be observed.
func (l *looker) fileStore(dir string, entries []fs.DirEntry) bool {
	if !IsFileStore(dir, entries) {
		return false
	}
	l.note("%s is MLflow's file store, which is not read: %s", dir, MoveFileStore(dir))
	return true
}

// IsFileStore says that a directory holds MLflow's experiments as files.
func IsFileStore(dir string, entries []fs.DirEntry) bool {
	if entries == nil {
		entries, _ = os.ReadDir(dir)
	}
	const looked = 50
	for i, e := range entries {
		if i == looked {
			break
		}
		if !e.IsDir() {
			continue
		}
		if head, err := start(filepath.Join(dir, e.Name(), "meta.yaml"), 4096); err == nil && bytes.Contains(head, []byte("experiment_id")) {
			return true
		}
	}
	return false
}

// MoveFileStore is what to do with MLflow's file store.
func MoveFileStore(dir string) string {
	source := dir
	if filepath.Base(dir) == "mlruns" {
		source = filepath.Dir(dir)
	}
	return fmt.Sprintf("let the scripts log to a database, MLFLOW_TRACKING_URI=sqlite:///%[1]s/mlflow.db, and take over what is there with "+
		"`mlflow migrate-filestore --source %[1]s --target sqlite:///%[1]s/mlflow.db` of a recent MLflow", source)
}

func (l *looker) file(path string) {
	name := filepath.Base(path)
	switch {
	case strings.HasSuffix(name, ".scheduler.json") || name == "scheduler.json":
		l.schedulerFile(path)
	case isDatabase(name):
		if slices.Contains(l.Known, path) || IsMLflow(path) {
			l.database(path, "it has MLflow's tables")
		}
	case isLog(name):
		l.log(path, "")
	}
}

func isDatabase(name string) bool {
	ext := filepath.Ext(name)
	return ext == ".db" || ext == ".sqlite" || ext == ".sqlite3"
}

// database offers a file that MLflow writes.
func (l *looker) database(path, evidence string) {
	if l.databases[path] {
		return
	}
	l.databases[path] = true
	uri := "sqlite:///" + path
	l.offer("mlflow", uri, map[string]any{"tracking_uri": uri}, evidence, "")
}

const schemaBytes = 2 << 20

// IsMLflow says that a file is an SQLite database with MLflow's tables. It only reads the file's beginning: whoever opens
// a database locks it.
func IsMLflow(path string) bool {
	head, err := start(path, schemaBytes)
	if err != nil || !bytes.HasPrefix(head, []byte("SQLite format 3\x00")) {
		return false
	}
	tables := func(b []byte) bool { return experimentsTable.Match(b) && paramsTable.Match(b) }
	if tables(head) {
		return true
	}
	wal, err := start(path+"-wal", schemaBytes) // not yet in the file
	return err == nil && tables(wal)
}

var (
	experimentsTable = regexp.MustCompile(`CREATE TABLE "?experiments"?[ (]`)
	paramsTable      = regexp.MustCompile(`CREATE TABLE "?params"?[ (]`)
)

// start reads the beginning of a regular file.
func start(path string, n int64) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fs.ErrInvalid)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, n))
}

// schedulerFile offers what `dask scheduler --scheduler-file` wrote. The scheduler may have ended.
func (l *looker) schedulerFile(path string) {
	head, err := start(path, 1<<20)
	if err != nil || !bytes.Contains(head, []byte(`"address"`)) || !bytes.Contains(head, []byte(`"workers"`)) {
		return
	}
	l.offer("dask", path, map[string]any{"scheduler_files": []any{path}}, "a file that a Dask scheduler wrote", "")
}

// hostOf is the host of an address.
func hostOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
