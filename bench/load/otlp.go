package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"

	"github.com/otelcol-mida/otelcol-mida/internal/journal"
	"github.com/otelcol-mida/otelcol-mida/internal/task"
)

// otlp sends the task events of journals to a collector as OTLP over HTTP. It makes the requests, says how many records
// they hold, waits for a line, and sends them; so that every collector gets the same bytes at no cost of making them.
func otlp(args []string) error {
	f := flag.NewFlagSet("otlp", flag.ContinueOnError)
	url := f.String("url", "", "address of the receiver, such as http://127.0.0.1:4318")
	dir := f.String("journal", "", "directory of journals")
	size := f.Int("request", 1_000, "records a request")
	senders := f.Int("senders", 4, "requests at a time")
	if err := f.Parse(args); err != nil {
		return err
	}
	requests, records, err := encode(*dir, *size)
	if err != nil {
		return err
	}
	say(map[string]any{"records": records, "requests": len(requests)})
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	started := time.Now()
	work := make(chan []byte, len(requests))
	for _, r := range requests {
		work <- r
	}
	close(work)
	errs := make([]error, *senders)
	var wg sync.WaitGroup
	for i := range *senders {
		wg.Go(func() {
			for body := range work {
				errs[i] = errors.Join(errs[i], post(*url+"/v1/logs", body))
			}
		})
	}
	wg.Wait()
	say(map[string]any{"seconds": time.Since(started).Seconds()})
	return errors.Join(errs...)
}

func encode(dir string, size int) (requests [][]byte, records int, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.mj"))
	if err != nil {
		return nil, 0, err
	}
	var batch []*task.Event
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		body, err := plogotlp.NewExportRequestFromLogs(task.ToLogs(batch)).MarshalProto()
		requests, records, batch = append(requests, body), records+len(batch), nil
		return err
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, 0, err
		}
		found, err := journal.Decode(filepath.Base(file), data)
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", file, err)
		}
		for _, e := range found.Events {
			if e.Name == task.EventCheckpoint {
				continue
			}
			if batch = append(batch, e); len(batch) == size {
				if err := flush(); err != nil {
					return nil, 0, err
				}
			}
		}
	}
	return requests, records, flush()
}

// post sends a request until the collector takes it: one that is busy asks to be asked again.
func post(url string, body []byte) error {
	for {
		r, err := client.Post(url, "application/x-protobuf", bytes.NewReader(body))
		if err != nil {
			return err
		}
		answer, err := io.ReadAll(r.Body)
		r.Body.Close()
		switch {
		case err != nil:
			return err
		case r.StatusCode == http.StatusOK:
			return nil
		case r.StatusCode != http.StatusTooManyRequests && r.StatusCode != http.StatusServiceUnavailable:
			return fmt.Errorf("%s: %s: %.300s", url, r.Status, answer)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
