// Command dashboards writes the saved objects of Kibana and of OpenSearch Dashboards; `make dashboards` runs it. Both
// products descend from Kibana 7.10 and read its form, so that one description of the panels serves both.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: dashboards DIR")
		os.Exit(2)
	}
	for _, p := range products {
		text, err := p.file()
		if err == nil {
			err = os.WriteFile(filepath.Join(os.Args[1], p.name+".ndjson"), text, 0o644)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

type object = map[string]any

// product is a program that imports the objects.
type product struct {
	name string
	// stamp writes down the version of the form in which an object is. A newer program brings it up to date when it imports
	// it.
	stamp func(o object, version string)
}

var products = []product{
	{"kibana", func(o object, version string) {
		o["coreMigrationVersion"], o["typeMigrationVersion"], o["managed"] = "8.8.0", version, false
	}},
	{"opensearch-dashboards", func(o object, version string) {
		kind, _ := o["type"].(string)
		o["migrationVersion"] = object{kind: version}
	}},
}

// file is what the product imports, one object a line: what is referred to comes first.
func (p product) file() ([]byte, error) {
	var out bytes.Buffer
	lines := json.NewEncoder(&out)
	lines.SetEscapeHTML(false)
	for _, o := range objects() {
		p.stamp(o.saved, o.version)
		if err := lines.Encode(o.saved); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}
