package storetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/query/querytest"
)

// Every case names a sentence of the documentation, as it stands there.
func TestEveryCaseNamesItsContract(t *testing.T) {
	cited := querytest.Contract(t)
	for _, g := range groups {
		for _, c := range g.cases {
			name := g.name + "/" + c.name
			require.NotContains(t, cited, name, "two cases of one name")
			cited[name] = []string{c.contract}
		}
	}
	require.GreaterOrEqual(t, len(cited), 200)
	docs := map[string]string{}
	for name, sentences := range cited {
		require.NotEmpty(t, sentences, name)
		for _, s := range sentences {
			file, sentence, ok := strings.Cut(s, ": ")
			require.True(t, ok, "%s: %q", name, s)
			if docs[file] == "" {
				text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", file))
				require.NoError(t, err, name)
				docs[file] = oneLine(string(text))
			}
			require.Greater(t, len(sentence), 10, name)
			require.Contains(t, docs[file], oneLine(sentence), name)
		}
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
