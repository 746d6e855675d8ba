// Command load does the bare work beside which the collector is measured, and sends what is measured. It is part of the
// benchmarks alone, never of the product.
//
//	load bulk -url URL -prefix P -grid 1000x1,5000x2 [-kinds tasks,claims]
//	load rows -db FILE -per 1000,10000
//	load otlp -url URL -journal DIR -request N -senders N
//	load view -db FILE -campaigns N -tasks N
//
// Each prints one JSON object a line.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	commands := map[string]func([]string) error{"bulk": bulk, "rows": rows, "otlp": otlp, "view": view}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: load bulk|rows|otlp|view [flags]")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "load %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func say(v map[string]any) {
	_ = json.NewEncoder(os.Stdout).Encode(v)
}
