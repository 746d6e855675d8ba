package taskcontroller

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/control"
)

// check refuses what leads to other places than the operator allowed.
func (a *Allow) check(places []control.Place) error {
	for _, p := range places {
		if p.Path != "" {
			if err := a.checkPath(p); err != nil {
				return err
			}
		}
		if p.Host != "" && !a.host(p.Host) {
			return &control.Refusal{
				Field: p.Key, Problem: fmt.Sprintf("host %q is not among those that extensions::taskcontroller::allow::hosts lists", p.Host), Valid: a.Hosts,
			}
		}
	}
	return nil
}

func (a *Allow) checkPath(p control.Place) error {
	refuse := func(why string) error {
		return &control.Refusal{Field: p.Key, Problem: fmt.Sprintf("%q %s", p.Path, why), Valid: a.Directories}
	}
	if slices.Contains(strings.Split(filepath.ToSlash(p.Path), "/"), "..") { // behind a link it leads elsewhere than it looks
		return refuse("has .. in it; write the path without")
	}
	real, err := realPath(fixedPart(p.Path))
	if err != nil {
		return refuse("cannot be looked at: " + err.Error())
	}
	for _, dir := range a.Directories {
		allowed, err := realPath(dir)
		if err != nil {
			continue
		}
		if rel, err := filepath.Rel(allowed, real); err == nil && filepath.IsLocal(rel) {
			return nil
		}
	}
	return refuse("lies outside the directories that extensions::taskcontroller::allow::directories lists")
}

// fixedPart is the part of a glob before its first wildcard, in whole names.
func fixedPart(glob string) string {
	i := strings.IndexAny(glob, "*?[{")
	if i < 0 {
		return glob
	}
	return filepath.Dir(glob[:i] + "x")
}

// realPath is a path without symbolic links, as far as it exists.
func realPath(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	missing := ""
	for {
		real, err := filepath.EvalSymlinks(abs)
		if err == nil {
			return filepath.Join(real, missing), nil
		}
		if _, there := os.Lstat(abs); there == nil { // a link to what is not there, or not yet
			return "", err
		}
		parent := filepath.Dir(abs)
		if !errors.Is(err, fs.ErrNotExist) || parent == abs {
			return "", err
		}
		missing, abs = filepath.Join(filepath.Base(abs), missing), parent
	}
}

func (a *Allow) host(host string) bool {
	host = strings.Trim(host, "[]")
	loopback := strings.EqualFold(host, "localhost")
	if ip := net.ParseIP(host); ip != nil {
		loopback = ip.IsLoopback()
	}
	return slices.ContainsFunc(a.Hosts, func(allowed string) bool {
		return strings.EqualFold(allowed, host) || loopback && strings.EqualFold(allowed, "localhost")
	})
}
