package doctorcmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"go.opentelemetry.io/collector/confmap"

	"github.com/otelcol-mida/otelcol-mida/internal/control"
	"github.com/otelcol-mida/otelcol-mida/internal/discover"
)

// places looks at what the collector itself needs: a port, and directories to write to.
func places(conf *confmap.Conf) (parts []control.Part) {
	trouble := func(what, format string, args ...any) {
		parts = append(parts, control.Part{What: what, State: control.Trouble, Problem: fmt.Sprintf(format, args...)})
	}
	running := false
	if dir, ok := conf.Get("extensions::taskquery::state_directory").(string); ok {
		if pid, url := collectorOf(dir); pid != 0 {
			running = true
			parts = append(parts, control.Part{
				What: dir, State: control.Waiting,
				Problem: fmt.Sprintf("a collector (process %d) runs with this state directory and answers at %s: `mida doctor` asks it; a second one would "+
					"be refused. Stop that one, or set another state_directory, sqlite path and endpoint (MIDA_DATA, MIDA_QUERY_ENDPOINT)", pid, url),
			})
		}
	}
	if endpoint, ok := conf.Get("extensions::taskquery::endpoint").(string); ok && !running {
		if err := free(endpoint); err != nil {
			trouble("port "+endpoint, "%v: stop what listens there, or set extensions::taskquery::endpoint (MIDA_QUERY_ENDPOINT) to a free port", err)
		}
	}
	for _, key := range []string{"extensions::file_storage::directory", "extensions::taskquery::state_directory", "extensions::taskcontroller::directory"} {
		if dir, ok := conf.Get(key).(string); ok {
			if err := writable(dir); err != nil {
				trouble(dir, "%v: set %s to a directory that user %d may write", err, key, os.Geteuid())
			}
		}
	}
	stores, _ := conf.Get("extensions::taskstore::stores").(map[string]any)
	for name, v := range stores {
		m, _ := v.(map[string]any)
		sqlite, _ := m["sqlite"].(map[string]any)
		if path, ok := sqlite["path"].(string); ok {
			if err := writable(filepath.Dir(path)); err != nil {
				trouble(path, "%v: set extensions::taskstore::stores::%s::sqlite::path to where user %d may write", err, name, os.Geteuid())
			}
		}
	}
	return parts
}

// collectorOf finds the collector that runs with a state directory.
func collectorOf(dir string) (pid int, url string) {
	data, err := os.ReadFile(filepath.Join(dir, "endpoint.json"))
	if err != nil {
		return 0, ""
	}
	var info struct {
		URL string `json:"url"`
		PID int    `json:"pid"`
	}
	if json.Unmarshal(data, &info) != nil || info.PID <= 0 {
		return 0, ""
	}
	p, err := os.FindProcess(info.PID)
	if err != nil || p.Signal(syscall.Signal(0)) != nil {
		return 0, ""
	}
	return info.PID, info.URL
}

// free says whether one can listen on an address.
func free(endpoint string) error {
	l, err := net.Listen("tcp", endpoint)
	if err == nil {
		return l.Close()
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	who := "another program"
	_, port, _ := net.SplitHostPort(endpoint)
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		if p := discover.ListenerOn(uint16(n)); p != "" {
			who = p
		}
	}
	return fmt.Errorf("it is in use by %s", who)
}

// writable says whether files can be made in a directory, or in the one in which it will be made.
func writable(dir string) error {
	for {
		info, err := os.Stat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir:
			dir = filepath.Dir(dir)
			continue
		case err != nil:
			return err
		case !info.IsDir():
			return fmt.Errorf("%s is no directory", dir)
		}
		f, err := os.CreateTemp(dir, ".mida-doctor-*")
		if err != nil {
			return errors.New(strings.TrimSpace(err.Error()))
		}
		return errors.Join(f.Close(), os.Remove(f.Name()))
	}
}
