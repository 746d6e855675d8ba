package entity

import (
	"os"
	"strings"
	"testing"
)

func TestLooksLikePath(t *testing.T) {
	text, err := os.ReadFile("testdata/paths.txt")
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	for n, line := range strings.Split(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		col := strings.SplitN(line, "\t", 3)
		if len(col) != 3 || col[0] != "yes" && col[0] != "no" {
			t.Fatalf("line %d is not verdict, field, value: %q", n+1, line)
		}
		cases++
		field := col[1]
		if field == "-" {
			field = ""
		}
		if got := LooksLikePath(field, col[2]); got != (col[0] == "yes") {
			t.Errorf("line %d: LooksLikePath(%q, %q) = %v, want %s", n+1, field, col[2], got, col[0])
		}
	}
	if cases < 80 {
		t.Errorf("the table has %d cases, fewer than 80", cases)
	}
}
