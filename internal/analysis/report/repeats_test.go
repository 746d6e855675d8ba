package report

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestThePageSaysOnceWhatResultsShare(t *testing.T) {
	c := life(t)
	r := c.report("generated.val_loss")
	require.Len(t, r.Results, 2)
	page, err := r.HTML()
	require.NoError(t, err)
	parts := strings.Split(string(page), `<h2 id="r2">`)
	require.Len(t, parts, 2)
	assert.Contains(t, parts[0], "scan2.tif")
	assert.Contains(t, parts[1], `<h3 id="r2-raw">Raw data and the tasks that made them</h3>`+"\n"+`<p>The same as of <a href="#r1">result 1</a>.</p>`)
	assert.Equal(t, 1, r.Results[1].SameAs("raw"))
	assert.Equal(t, 0, r.Results[0].SameAs("raw"))
	assert.Equal(t, namesOf(r.Results[0].Raw.Files), namesOf(r.Results[1].Raw.Files), "the data have it with each")

	// Another model, of other data.
	c.run(work{
		key: "fit3", activity: "fit_net", workflow: "search", reads: []string{"scan3.tif"}, writes: []string{"m3.pkl"},
		used: map[string]any{"layers": int64(4)}, generated: map[string]any{"val_loss": 0.1},
	})
	r = c.report("generated.val_loss")
	_, err = r.HTML()
	require.NoError(t, err)
	assert.Equal(t, []int{0, 0, 2}, []int{r.Results[0].SameAs("raw"), r.Results[1].SameAs("raw"), r.Results[2].SameAs("raw")})
}

func TestCommonHeaders(t *testing.T) {
	file := func(said string) *File { return &File{NotDescribed: said} }
	assert.Equal(t, "a", commonHeader([]*File{file("a"), file(""), file("a")}))
	assert.Empty(t, commonHeader([]*File{file("a"), file("b")}))
	assert.Empty(t, commonHeader([]*File{file("a"), file("")}), "one is no repetition")
	assert.Empty(t, commonHeader(nil))
}

func TestWhatNobodyToldIsOneLine(t *testing.T) {
	facts := []Fact{{Name: "seed", Value: Value{int64(1)}}, {Name: "commit"}, {Name: "container"}}
	assert.Equal(t, facts[:1], recorded(facts))
	assert.Equal(t, "commit, container", unrecorded(facts))
}
