package querytest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// command is one command of a script with what follows it.
type command struct {
	line     int
	name     string // load, clear, filter, query
	body     string
	tasks    []map[string]any
	contract []string

	ids       []string // of a filter
	rows      []map[string]any
	total     int // -1: the number of rows
	warnings  []string
	err       string
	truncated bool
	live      bool
}

func parse(text string) ([]*command, error) {
	var commands []*command
	var c *command
	var contract []string
	open := false // the last line said what the contract is of what follows
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		if cited, ok := strings.CutPrefix(trimmed, "# contract: "); ok {
			if !open {
				contract = nil
			}
			contract, open = append(contract, cited), true
			continue
		}
		open = false
		switch {
		case trimmed == "" || strings.HasPrefix(trimmed, "#"):
			continue
		case line[0] != ' ' && line[0] != '\t':
			name, body, _ := strings.Cut(trimmed, " ")
			if name != "load" && name != "clear" && name != "filter" && name != "query" {
				return nil, fmt.Errorf("line %d: unknown command %q", i+1, name)
			}
			c = &command{line: i + 1, name: name, body: body, total: -1, contract: contract}
			if c.isCase() && contract == nil {
				return nil, fmt.Errorf("line %d: no # contract: before it says which sentence it tests", i+1)
			}
			commands = append(commands, c)
		case c == nil:
			return nil, fmt.Errorf("line %d: nothing to belong to", i+1)
		default:
			if err := c.expect(trimmed); err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
		}
	}
	return commands, nil
}

func (c *command) isCase() bool { return c.name == "filter" || c.name == "query" }

func (c *command) expect(line string) error {
	if strings.HasPrefix(line, "{") {
		v, err := task.DecodeJSON([]byte(line))
		if err != nil {
			return err
		}
		m, ok := v.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is not an object", line)
		}
		if c.name == "load" {
			c.tasks = append(c.tasks, m)
		} else {
			c.rows = append(c.rows, m)
		}
		return nil
	}
	key, value, hasValue := strings.Cut(line, ": ")
	switch {
	case hasValue && key == "error":
		c.err = value
	case hasValue && key == "warning":
		c.warnings = append(c.warnings, value)
	case hasValue && key == "total":
		n, err := strconv.Atoi(value)
		c.total = n
		return err
	case c.name == "query" && line == "truncated":
		c.truncated = true
	case c.name == "query" && line == "live":
		c.live = true
	case c.name == "filter":
		if line != "(none)" {
			c.ids = append(c.ids, strings.Fields(line)...)
		}
	default:
		return fmt.Errorf("unknown expectation %q", line)
	}
	return nil
}
