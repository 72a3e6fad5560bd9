// River: fetch cooldown 2 ms, 2,000 workers, jobs inserted by COPY. It records row, state and errors of a job.
//
//	river install DSN
//	river produce DSN bulk|single|latency FIRST LAST
//	river work DSN WARM_UP JOBS
//
// Jobs have the numbers from FIRST to before LAST; those of the warm-up are negative. `work` says "{}" after the
// warm-up and, when all have run, how long that took and how long they waited, as worker.py does.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"math"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

const (
	batch       = 500
	bulkCallers = 4
	callers     = 16
	rate        = 100                  // a second
	cooldown    = 2 * time.Millisecond // between fetches, and between notifications of inserts
)

var note = strings.Repeat("x", 1240)

type Item struct {
	Number int     `json:"number"`
	Sent   float64 `json:"sent"`
	Note   string  `json:"note"`
}

func (Item) Kind() string { return "job" }

func newItem(number int) Item { return Item{Number: number, Sent: now(), Note: note} }

func now() float64 { return float64(time.Now().UnixNano()) / 1e9 }

func main() {
	ctx := context.Background()
	what, dsn, rest := os.Args[1], os.Args[2], os.Args[3:]
	pool := must(pgxpool.New(ctx, dsn+"&pool_max_conns=16"))
	defer pool.Close()
	switch what {
	case "install":
		must(must(rivermigrate.New(riverpgxv5.New(pool), nil)).Migrate(ctx, rivermigrate.DirectionUp, nil))
	case "produce":
		produce(ctx, pool, rest[0], must(strconv.Atoi(rest[1])), must(strconv.Atoi(rest[2])))
	case "work":
		work(ctx, pool, must(strconv.Atoi(rest[0])), must(strconv.Atoi(rest[1])))
	}
}

func produce(ctx context.Context, pool *pgxpool.Pool, how string, first, last int) {
	client := must(river.NewClient(riverpgxv5.New(pool), &river.Config{Logger: quiet(), FetchCooldown: cooldown}))
	switch how {
	case "bulk":
		inParallel(bulkCallers, batches(first, last, batch), func(from, to int) { insertMany(ctx, client, from, to) })
	case "single":
		inParallel(callers, batches(first, last, 1), func(from, _ int) { must(client.Insert(ctx, newItem(from), nil)) })
	case "latency":
		var calls sync.WaitGroup
		began := time.Now()
		for number := first; number < last; number++ {
			time.Sleep(time.Until(began.Add(time.Duration(number-first) * time.Second / rate)))
			item := newItem(number)
			calls.Go(func() { must(client.Insert(ctx, item, nil)) })
		}
		calls.Wait()
	}
}

func insertMany(ctx context.Context, client *river.Client[pgx.Tx], from, to int) {
	many := make([]river.InsertManyParams, 0, to-from)
	for number := from; number < to; number++ {
		many = append(many, river.InsertManyParams{Args: newItem(number)})
	}
	must(client.InsertManyFast(ctx, many))
}

func batches(first, last, size int) chan [2]int {
	found := make(chan [2]int, (last-first)/size+1)
	for from := first; from < last; from += size {
		found <- [2]int{from, min(from+size, last)}
	}
	close(found)
	return found
}

func inParallel(count int, batches chan [2]int, call func(from, to int)) {
	var all sync.WaitGroup
	for range count {
		all.Go(func() {
			for each := range batches {
				call(each[0], each[1])
			}
		})
	}
	all.Wait()
}

// ran counts the jobs, each of which must run once.
type ran struct {
	river.WorkerDefaults[Item]
	mutex        sync.Mutex
	warmUp, jobs int
	numbers      map[int]bool
	delays       []float64 // ms
	began, ended float64
	over         chan struct{}
}

func (ran *ran) Work(_ context.Context, job *river.Job[Item]) error {
	started, number := now(), job.Args.Number
	ran.mutex.Lock()
	defer ran.mutex.Unlock()
	if ran.numbers[number] {
		log.Fatalf("job %d ran twice", number)
	}
	ran.numbers[number] = true
	if number >= 0 {
		ran.delays = append(ran.delays, (started-job.Args.Sent)*1000)
		ran.began = min(ran.began, job.Args.Sent)
	}
	if len(ran.numbers) == ran.warmUp {
		fmt.Println("{}")
	}
	if len(ran.delays) == ran.jobs && ran.ended == 0 {
		ran.ended = started
		close(ran.over)
	}
	return nil
}

func work(ctx context.Context, pool *pgxpool.Pool, warmUp, jobs int) {
	ran := &ran{warmUp: warmUp, jobs: jobs, numbers: map[int]bool{}, began: math.Inf(1), over: make(chan struct{})}
	workers := river.NewWorkers()
	river.AddWorker(workers, ran)
	client := must(river.NewClient(riverpgxv5.New(pool), &river.Config{
		Logger:        quiet(),
		Workers:       workers,
		FetchCooldown: cooldown,
		Queues:        map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 2000}},
	}))
	check(client.Start(ctx))
	<-ran.over
	check(client.Stop(ctx)) // what has run is recorded before it returns
	sort.Float64s(ran.delays)
	check(json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"seconds": ran.ended - ran.began, "p50": ran.delays[jobs/2], "p99": ran.delays[jobs*99/100], "max": ran.delays[jobs-1],
	}))
}

func quiet() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
