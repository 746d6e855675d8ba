package upcmd

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/stanza/fileconsumer/matcher"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
)

// describe says what is observed and what is not, where the view lies and how to ask.
func (s *settings) describe(w io.Writer) {
	line := func(what, format string, args ...any) {
		fmt.Fprintf(w, "  %-8s%s\n", what, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(w, "Observing campaign %s:\n", s.Campaign)
	s.describeDask(line)
	if len(s.MLflow) == 0 {
		line("MLflow", "not observed")
	}
	for _, uri := range s.MLflow {
		shown, _ := capture.Text(uri)
		line("MLflow", "%s%s", shown, notThere(uri))
	}
	s.describeLogs(line)
	abs, err := filepath.Abs(s.Data)
	if err != nil {
		abs = s.Data
	}
	fmt.Fprintf(w, "The view is %s. Ask in another terminal, in this directory:\n", filepath.Join(abs, "mida.db"))
	at := ""
	if filepath.Base(s.Data) != "mida-data" || filepath.Dir(s.Data) != "." {
		at = " --state-directory " + abs
	}
	fmt.Fprintf(w, "  mida status%s\n  mida query%s --campaign %s\n", at, at, quoted(s.Campaign))
	fmt.Fprintln(w, "Ctrl-C reads what is left and ends.")
}

func (s *settings) describeDask(line func(what, format string, args ...any)) {
	if s.Dask.Off {
		line("Dask", "not observed")
		return
	}
	addresses, files := s.Dask.all()
	if where := slices.Concat(addresses, files); len(where) > 0 {
		line("Dask", "clusters at %s, once they are there", strings.Join(where, ", "))
	}
	journal, err := filepath.Abs(filepath.Join(s.Data, "journal"))
	if err != nil {
		journal = filepath.Join(s.Data, "journal")
	}
	line("Dask", "clusters that a script makes itself: mida run -- python script.py, or start it with")
	line("", "DASK_DISTRIBUTED__SCHEDULER__PRELOAD=mida.dask_preload MIDA_JOURNAL_DIR=%s", quoted(journal))
}

func (s *settings) describeLogs(line func(what, format string, args ...any)) {
	for _, l := range s.Logs {
		with := "their rules in " + File
		if l.Inline == nil {
			with = "the rules in " + l.File
		}
		n := 0
		if m, err := matcher.New(matcher.Criteria{Include: l.Include}); err == nil { // as the receiver finds them
			found, _ := m.MatchFiles()
			n = len(found)
		}
		files := fmt.Sprintf("%d files now", n)
		switch n {
		case 0:
			files = "no file yet"
		case 1:
			files = "1 file now"
		}
		line("Logs", "%s (%s), with %s", strings.Join(l.Include, ", "), files, with)
	}
	if len(s.withoutRules) > 0 {
		line("Logs", "NOT observed: %s, because nothing says what the lines mean: there is no %s here", strings.Join(s.withoutRules, ", "), rulesFile)
		line("", "mida init suggests rules; docs/log-rules.md explains them")
	}
	if len(s.Logs)+len(s.withoutRules) == 0 {
		line("Logs", "not observed; mida init looks for logs here and suggests rules")
	}
}

// notThere says that a database is still to come: that is no mistake, unless the name is one.
func notThere(uri string) string {
	file, ok := strings.CutPrefix(uri, "sqlite:///")
	if !ok {
		return ""
	}
	file, _, _ = strings.Cut(file, "?")
	if _, err := os.Stat(file); err != nil {
		return " (not there yet; read as soon as it is)"
	}
	return ""
}

// quoted is a word of a command line.
func quoted(s string) string {
	if strings.ContainsAny(s, " \t'\"$&|;<>()*?[]#~\\`!{}") || s == "" {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}
