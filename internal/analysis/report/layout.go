package report

import (
	"fmt"
	"html"
	"maps"
	"math"
	"slices"
	"sort"
	"strings"
)

// Sizes of a drawing, in pixels.
const (
	boxWidth, boxHeight = 172, 44
	gapX, gapY          = 22, 92
	bendWidth           = 26
	margin              = 14
	lineHeight          = 11
	maxBends            = 400
)

// layered puts each box below all that leads to it; arrows that close a circle do not count.
func layered(boxes map[string]*box, arrows map[[2]string]*arrow) [][]*box {
	next := map[string][]string{}
	for k := range arrows {
		next[k[0]] = append(next[k[0]], k[1])
	}
	keys := sortedKeys(boxes)
	sort.SliceStable(keys, func(i, j int) bool { return boxes[keys[i]].first < boxes[keys[j]].first })
	const unseen, open, done = 0, 1, 2
	state, order := map[string]int{}, []string{}
	forward := map[[2]string]bool{}
	var visit func(string)
	visit = func(k string) {
		state[k] = open
		sort.Strings(next[k])
		for _, to := range next[k] {
			if state[to] == open {
				continue // it closes a circle
			}
			forward[[2]string{k, to}] = true
			if state[to] == unseen {
				visit(to)
			}
		}
		state[k] = done
		order = append(order, k)
	}
	for _, k := range keys {
		if state[k] == unseen {
			visit(k)
		}
	}
	deepest := 0
	for _, k := range slices.Backward(order) {
		for _, to := range next[k] {
			if forward[[2]string{k, to}] {
				boxes[to].layer = max(boxes[to].layer, boxes[k].layer+1)
				deepest = max(deepest, boxes[to].layer)
			}
		}
	}
	// What leads to one box stands right above it, not at the top.
	for _, k := range order {
		nearest := math.MaxInt
		for _, to := range next[k] {
			if forward[[2]string{k, to}] {
				nearest = min(nearest, boxes[to].layer-1)
			}
		}
		if nearest != math.MaxInt {
			boxes[k].layer = nearest
		}
	}
	layers := make([][]*box, deepest+1)
	for _, k := range keys {
		layers[boxes[k].layer] = append(layers[boxes[k].layer], boxes[k])
	}
	arrange(withBends(layers, boxes, arrows), arrows)
	return layers
}

// withBends adds the places where arrows pass layers, so that they lead past the boxes and not behind them.
func withBends(layers [][]*box, boxes map[string]*box, arrows map[[2]string]*arrow) [][]*box {
	keys := slices.SortedFunc(maps.Keys(arrows), func(a, b [2]string) int { return strings.Compare(a[0]+a[1], b[0]+b[1]) })
	bends := 0
	for _, k := range keys {
		from, to := boxes[k[0]], boxes[k[1]]
		if bends += max(to.layer-from.layer-1, 0); bends > maxBends {
			break
		}
		for layer := from.layer + 1; layer < to.layer; layer++ {
			b := &box{key: fmt.Sprintf("\x00bend %d %s %s", layer, k[0], k[1]), layer: layer, bend: true}
			arrows[k].via = append(arrows[k].via, b)
			layers[layer] = append(layers[layer], b)
		}
	}
	return layers
}

// arrange orders the boxes of each layer by where their neighbours are, a few times to and fro.
func arrange(layers [][]*box, arrows map[[2]string]*arrow) {
	neighbours := map[string][]string{}
	for k, a := range arrows {
		stops := []string{k[0]}
		for _, b := range a.via {
			stops = append(stops, b.key)
		}
		stops = append(stops, k[1])
		for i := range stops[1:] {
			neighbours[stops[i]] = append(neighbours[stops[i]], stops[i+1])
			neighbours[stops[i+1]] = append(neighbours[stops[i+1]], stops[i])
		}
	}
	at := map[string]float64{}
	place := func(layer []*box) {
		x := -widthOf(layer) / 2
		for _, b := range layer {
			b.x = x + b.width()/2
			x += b.width() + gapX
			at[b.key] = b.x
		}
	}
	for _, l := range layers {
		place(l)
	}
	for range 6 {
		for _, l := range layers {
			sort.SliceStable(l, func(i, j int) bool { return mean(neighbours[l[i].key], at) < mean(neighbours[l[j].key], at) })
			place(l)
		}
	}
}

func widthOf(layer []*box) float64 {
	width := -float64(gapX)
	for _, b := range layer {
		width += b.width() + gapX
	}
	return width
}

func mean(keys []string, at map[string]float64) float64 {
	keys = slices.Sorted(slices.Values(keys))
	sum := 0.0
	for _, k := range keys {
		sum += at[k]
	}
	return sum / float64(max(len(keys), 1))
}

// colours of the parts that tasks have.
var parts = []struct{ name, colour string }{
	{"raw", "#d9ead3"}, {"step", "#e4ddf3"}, {"training", "#cfe2f3"}, {"evaluation data", "#fde9ef"}, {"earlier", "#eeeeee"}, {"result", "#f9d9a8"},
}

func colourOf(part string) string {
	for _, p := range parts {
		if p.name == part {
			return p.colour
		}
	}
	return "#eeeeee"
}

// curve is an arrow's way: from the lower edge of one box to the upper edge of another.
type curve struct {
	*arrow
	x0, y0, x1, y1 float64 // to the first layer that it passes, or to its end
	dashed         bool
	d              string // the way, as SVG writes it
}

// at is the point of the way at t from 0 to 1.
func (c curve) at(t float64) (x, y float64) {
	bend := c.bend()
	u := 1 - t
	x = u*u*u*c.x0 + 3*u*u*t*c.x0 + 3*u*t*t*c.x1 + t*t*t*c.x1
	y = u*u*u*c.y0 + 3*u*u*t*(c.y0+bend) + 3*u*t*t*(c.y1-bend) + t*t*t*c.y1
	return x, y
}

func (c curve) bend() float64 { return math.Max(36, math.Abs(c.y1-c.y0)/2) }

// curves gives each arrow a place of its own at the edges of its boxes.
func curves(boxes map[string]*box, arrows map[[2]string]*arrow, top func(*box) float64) []curve {
	keys := slices.SortedFunc(maps.Keys(arrows), func(a, b [2]string) int { return strings.Compare(a[0]+a[1], b[0]+b[1]) })
	leaving, coming := map[string][]*box{}, map[string][]*box{}
	stops := map[[2]string][]*box{}
	for _, k := range keys {
		stops[k] = slices.Concat([]*box{boxes[k[0]]}, arrows[k].via, []*box{boxes[k[1]]})
		leaving[k[0]] = append(leaving[k[0]], stops[k][1])
		coming[k[1]] = append(coming[k[1]], stops[k][len(stops[k])-2])
	}
	port := func(b *box, all []*box, other *box) float64 {
		sort.SliceStable(all, func(i, j int) bool { return all[i].x < all[j].x })
		return b.x + (float64(slices.Index(all, other)+1)/float64(len(all)+1)-0.5)*boxWidth*0.9
	}
	out := make([]curve, 0, len(keys))
	for _, k := range keys {
		way := stops[k]
		from, to := way[0], way[len(way)-1]
		x, y := port(from, leaving[k[0]], way[1]), top(from)+boxHeight
		c := curve{arrow: arrows[k], x0: x, y0: y, dashed: arrows[k].doubt || from.layer >= to.layer, d: fmt.Sprintf("M%.0f %.0f", x, y)}
		for i, stop := range way[1:] {
			part := curve{x0: x, y0: y, x1: stop.x, y1: top(stop)}
			if !stop.bend {
				part.x1 = port(to, coming[k[1]], way[len(way)-2])
			}
			if i == 0 {
				c.x1, c.y1 = part.x1, part.y1
			}
			x, y = part.x1, part.y1
			c.d += fmt.Sprintf("C%.0f %.0f %.0f %.0f %.0f %.0f", part.x0, part.y0+part.bend(), x, y-part.bend(), x, y)
			if stop.bend {
				y += boxHeight
				c.d += fmt.Sprintf("L%.0f %.0f", x, y)
			}
		}
		out = append(out, c)
	}
	return out
}

// tag is the text at an arrow.
type tag struct {
	lines []string
	x, y  float64
}

func (t tag) width() float64 {
	most := 0
	for _, l := range t.lines {
		most = max(most, len([]rune(l)))
	}
	return 4.8*float64(most) + 6
}

// tags puts the texts where arrows begin, below one another where they would meet.
func tags(list []curve) []tag {
	out := make([]tag, 0, len(list))
	for _, c := range list {
		t := 0.0
		for _, y := c.at(t); t < 0.5 && y < c.y0+24; _, y = c.at(t) {
			t += 0.01
		}
		x, y := c.at(t)
		out = append(out, tag{c.label(), x, y})
	}
	sort.SliceStable(out, func(i, j int) bool {
		if out[i].y != out[j].y {
			return out[i].y < out[j].y
		}
		return out[i].x < out[j].x
	})
	for i := range out {
		for range 2 {
			meets := slices.ContainsFunc(out[:i], func(o tag) bool {
				return math.Abs(o.y-out[i].y) < 2*lineHeight && math.Abs(o.x-out[i].x) < (o.width()+out[i].width())/2
			})
			if meets {
				out[i].y += 2*lineHeight + 1
			}
		}
	}
	return out
}

// write is the drawing as SVG.
func write(boxes map[string]*box, arrows map[[2]string]*arrow, layers [][]*box) string {
	widest := 3.0 * (boxWidth + gapX)
	for _, l := range layers {
		widest = max(widest, widthOf(l))
	}
	width := 2*margin + int(widest)
	height := 2*margin + len(layers)*boxHeight + (len(layers)-1)*gapY + 26
	for _, l := range layers {
		for _, b := range l {
			b.x += float64(width) / 2
		}
	}
	top := func(b *box) float64 { return float64(margin + b.layer*(boxHeight+gapY)) }
	var s strings.Builder
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" font-family="sans-serif" font-size="11">`,
		width, height, width, height)
	fmt.Fprintf(&s, `<title>Lineage: %d boxes and %d arrows, from the raw data at the top to the result</title>`, len(boxes), len(arrows))
	s.WriteString(`<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#777"/></marker></defs>`)
	ways := curves(boxes, arrows, top)
	for _, c := range ways {
		dash := ""
		if c.dashed {
			dash = ` stroke-dasharray="4 3"`
		}
		fmt.Fprintf(&s, `<path d="%s" fill="none" stroke="#777"%s marker-end="url(#tip)"/>`, c.d, dash)
	}
	for _, key := range sortedKeys(boxes) {
		b := boxes[key]
		x, y := b.x-boxWidth/2, top(b)
		title, line := shorten(b.title, 24), shorten(b.line, 28)
		if b.count > 1 {
			title = fmt.Sprintf("%d × %s", b.count, shorten(b.title, 19))
		}
		fmt.Fprintf(&s, `<g><title>%s</title><rect x="%.0f" y="%.0f" width="%d" height="%d" rx="5" fill="%s" stroke="#555"/>`,
			escaped(cutText(b.title, 200)+" "+cutText(b.line, 200)+" ("+b.role+")"), x, y, boxWidth, boxHeight, colourOf(b.role))
		fmt.Fprintf(&s, `<text x="%.0f" y="%.0f" text-anchor="middle" font-weight="bold">%s</text>`, b.x, y+18, escaped(title))
		fmt.Fprintf(&s, `<text x="%.0f" y="%.0f" text-anchor="middle" fill="#444">%s</text></g>`, b.x, y+34, escaped(line))
	}
	for _, t := range tags(ways) {
		for i, line := range t.lines {
			fmt.Fprintf(&s, `<text x="%.0f" y="%.0f" text-anchor="middle" font-size="9" fill="#333" stroke="#fff" stroke-width="3" paint-order="stroke">%s</text>`,
				t.x, t.y+float64(lineHeight*i), escaped(line))
		}
	}
	x := margin
	for _, p := range parts {
		fmt.Fprintf(&s, `<rect x="%d" y="%d" width="11" height="11" fill="%s" stroke="#555"/><text x="%d" y="%d" font-size="10">%s</text>`,
			x, height-18, p.colour, x+15, height-8, p.name)
		x += 32 + 6*len(p.name)
	}
	s.WriteString(`</svg>`)
	return strings.ToValidUTF8(s.String(), "\uFFFD")
}

// escaped is text in XML: what it cannot hold becomes a blank.
func escaped(s string) string {
	return html.EscapeString(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0xFFFE || r == 0xFFFF {
			return ' '
		}
		return r
	}, s))
}

func shorten(s string, most int) string {
	runes := []rune(cutText(s, 400))
	if len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return string(runes)
}
