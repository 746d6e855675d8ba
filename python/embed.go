// Package python carries the text of the Python observer, which the collector sends into running Dask clusters.
package python

import (
	"embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

//go:embed mida/*.py
var files embed.FS

const loader = "mida/_inject.py"

var (
	expressionLine = regexp.MustCompile(`(?m)^EXPRESSION = "(.*)"$`)
	modulesTuple   = regexp.MustCompile(`(?s)\nMODULES = \((.*?)\)`)
	quoted         = regexp.MustCompile(`"([a-z_]+)"`)
)

// Bundle is what an injected plugin is made of; mida/_inject.py describes its parts.
type Bundle struct {
	Expression string // what the pickle evaluates
	Boot       string // text of the loader
	Sources    string // JSON object: module name → text
}

// Observer returns the bundle of the Dask observer.
func Observer() (Bundle, error) {
	boot, err := files.ReadFile(loader)
	if err != nil {
		return Bundle{}, err
	}
	expression := expressionLine.FindSubmatch(boot)
	modules := modulesTuple.FindSubmatch(boot)
	if expression == nil || modules == nil {
		return Bundle{}, fmt.Errorf("%s: EXPRESSION or MODULES not found", loader)
	}
	texts := map[string]string{}
	for _, m := range quoted.FindAllSubmatch(modules[1], -1) {
		name := string(m[1])
		text, err := files.ReadFile("mida/" + name + ".py")
		if err != nil {
			return Bundle{}, fmt.Errorf("%s: MODULES: %w", loader, err)
		}
		texts[name] = string(text)
	}
	var sources strings.Builder
	enc := json.NewEncoder(&sources)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(texts); err != nil {
		return Bundle{}, err
	}
	return Bundle{Expression: string(expression[1]), Boot: string(boot), Sources: strings.TrimSpace(sources.String())}, nil
}
