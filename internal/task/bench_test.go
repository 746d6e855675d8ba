package task

import (
	"strconv"
	"testing"
)

func typical() *Event {
	return &Event{
		Name: EventFinished, Time: 1795354132800000000, Kind: "dask", Scope: "Scheduler-1", Key: "train-db5947338918bdcd858c62f9c5b5dfed",
		Attempt: 3, Facet: "worker", Status: StatusFinished, Campaign: "c", Activity: "train",
		StartedAt: 1795354132700000000, EndedAt: 1795354132800000000,
		Used:       map[string]any{"layers": int64(2), "lr": 0.1, "data": "/data/x.npz", "swa": true},
		Generated:  map[string]any{"loss": 0.1, "model_path": "/data/model_17.pkl"},
		Attributes: map[string]any{"process.pid": int64(1), "thread.id": int64(2), "code.function.name": "m.train"},
		Resource:   map[string]any{"host.name": "h", "service.name": "dask-worker"},
		ObserverID: "dask-worker@h-1-1", Seq: 12,
	}
}

func BenchmarkFromLogs(b *testing.B) {
	logs := ToLogs([]*Event{typical()})
	b.ReportAllocs()
	for b.Loop() {
		FromLogs(logs)
	}
}

func BenchmarkToLogs(b *testing.B) {
	e := []*Event{typical()}
	b.ReportAllocs()
	for b.Loop() {
		ToLogs(e)
	}
}

func BenchmarkApplyEncode(b *testing.B) {
	e := typical()
	b.ReportAllocs()
	for b.Loop() {
		s := &State{}
		s.Apply(e)
		s.Encode()
	}
}

func BenchmarkProject(b *testing.B) {
	s := &State{}
	s.Apply(typical())
	b.ReportAllocs()
	for b.Loop() {
		Project(s).Map()
	}
}

func BenchmarkDecodeState(b *testing.B) {
	s := &State{}
	s.Apply(typical())
	data := s.Encode()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeState(data); err != nil {
			b.Fatal(err)
		}
	}
}

func batch() []*Event {
	events := make([]*Event, 1000)
	resource := typical().Resource
	for i := range events {
		events[i] = typical()
		events[i].Key, events[i].Resource = strconv.Itoa(i), resource
	}
	return events
}

func BenchmarkToLogsOfABatch(b *testing.B) {
	events := batch()
	b.ReportAllocs()
	for b.Loop() {
		ToLogs(events)
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkFromLogsOfABatch(b *testing.B) {
	logs := ToLogs(batch())
	b.ReportAllocs()
	for b.Loop() {
		FromLogs(logs)
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "events/s")
}
