package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"
)

// Parse reads a rules file. What is wrong in it is named by its line and its key, with what would be valid.
func Parse(data []byte) (Spec, error) {
	var doc, next yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return Spec{}, nil
	} else if err != nil {
		return Spec{}, explainYAML(err)
	}
	if err := dec.Decode(&next); err == nil {
		return Spec{}, fmt.Errorf("line %d: a second document begins after ---; write all rules in one", next.Line)
	}
	root := doc.Content[0]
	if err := errors.Join(checkNode(root, reflect.TypeFor[Spec](), "")...); err != nil {
		return Spec{}, err
	}
	var s Spec
	if err := root.Decode(&s); err != nil {
		return Spec{}, err
	}
	return s, nil
}

// explainYAML adds to the message of the YAML reader what people mostly did.
func explainYAML(err error) error {
	switch text := err.Error(); {
	case strings.Contains(text, "mapping values are not allowed"):
		return fmt.Errorf("%w; text with a colon or with braces needs quotes around it: 'epoch {n:int}: done'", err)
	case strings.Contains(text, "cannot start any token"):
		return fmt.Errorf("%w; indent with blanks rather than tabs, and put text that begins with a sign in quotes", err)
	}
	return err
}

// checkNode compares what stands in the file with the keys that there are.
func checkNode(n *yaml.Node, t reflect.Type, key string) []error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	fail := func(format string, args ...any) []error {
		at := fmt.Sprintf("line %d: ", n.Line)
		if key != "" {
			at += key + ": "
		}
		return []error{fmt.Errorf(at+format, args...)}
	}
	if n.Tag == "!!null" {
		return nil
	}
	var errs []error
	switch t.Kind() {
	case reflect.Struct:
		if n.Kind != yaml.MappingNode {
			return fail("%s; want keys with values, one a line", shown(n))
		}
		return checkKeys(n, t, key)
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			return fail("%s; want a list, each entry behind a dash", shown(n))
		}
		for i, entry := range n.Content {
			label := fmt.Sprintf("%s: entry %d", key, i+1)
			if t.Elem() == reflect.TypeFor[Rule]() {
				label = ruleLabel(i, nameOf(entry))
			}
			errs = append(errs, checkNode(entry, t.Elem(), label)...)
		}
	case reflect.Map:
		if n.Kind != yaml.MappingNode {
			return fail("%s; want names with values", shown(n))
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			errs = append(errs, checkNode(n.Content[i+1], t.Elem(), key+": "+n.Content[i].Value)...)
		}
	case reflect.String:
		if n.Kind == yaml.MappingNode && len(n.Content) == 2 && n.Content[1].Tag == "!!null" {
			return fail("%s without quotes; want '{%s}'", shown(n), n.Content[0].Value)
		}
		if n.Kind != yaml.ScalarNode {
			return fail("%s; want text in quotes", shown(n))
		}
	case reflect.Bool:
		if n.Tag != "!!bool" {
			return fail("%s; want true or false", shown(n))
		}
	}
	return errs
}

func checkKeys(n *yaml.Node, t reflect.Type, key string) []error {
	types := map[string]reflect.Type{}
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("yaml"); name != "" {
			types[name] = t.Field(i).Type
		}
	}
	prefix := ""
	if key != "" {
		prefix = key + ": "
	}
	var errs []error
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		want, ok := types[k.Value]
		switch {
		case ok:
			errs = append(errs, checkNode(n.Content[i+1], want, prefix+k.Value)...)
		case k.Tag != "!!merge":
			errs = append(errs, fmt.Errorf("line %d: %s%s: unknown key; %s", k.Line, prefix, k.Value, suggest(k.Value, sortedKeys(types))))
		}
	}
	return errs
}

func nameOf(rule *yaml.Node) string {
	for i := 0; i+1 < len(rule.Content); i += 2 {
		if rule.Content[i].Value == "name" {
			return rule.Content[i+1].Value
		}
	}
	return ""
}

// shown is a value as a message names it.
func shown(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		if len(n.Content) == 2 && n.Content[1].Tag == "!!null" {
			return "{" + n.Content[0].Value + "}"
		}
		return "names with values"
	case yaml.SequenceNode:
		return "a list"
	}
	return fmt.Sprintf("%q", clip(n.Value))
}
