// Goroutines, timers, recovered panics, garbage and channels: prints only what must not vary.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type node struct {
	next  *node
	value int
}

func goroutines() {
	const count = 10000
	var sum int64
	var group sync.WaitGroup
	gate := make(chan struct{})
	for i := 0; i < count; i++ {
		group.Add(1)
		go func(n int) {
			defer group.Done()
			<-gate
			atomic.AddInt64(&sum, int64(n))
			runtime.Gosched()
		}(i)
	}
	fmt.Println("goroutines", runtime.NumGoroutine() >= count)
	close(gate)
	group.Wait()
	fmt.Println("sum", sum)
}

func pipeline() {
	first := make(chan int)
	source := first
	for i := 0; i < 100; i++ {
		next := make(chan int)
		go func(in, out chan int) {
			for v := range in {
				out <- v + 1
			}
			close(out)
		}(source, next)
		source = next
	}
	go func() {
		for i := 0; i < 200; i++ {
			first <- i
		}
		close(first)
	}()
	total := 0
	for v := range source {
		total += v
	}
	fmt.Println("pipeline", total)
}

func timers() {
	start := time.Now()
	var fired int64
	var group sync.WaitGroup
	for i := 0; i < 1000; i++ {
		group.Add(1)
		time.AfterFunc(time.Duration(i%50)*time.Millisecond, func() {
			atomic.AddInt64(&fired, 1)
			group.Done()
		})
	}
	group.Wait()
	fmt.Println("fired", fired, time.Since(start) >= 49*time.Millisecond)
	ticker := time.NewTicker(2 * time.Millisecond)
	for i := 0; i < 5; i++ {
		<-ticker.C
	}
	ticker.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	<-ctx.Done()
	fmt.Println(ctx.Err())
	select {
	case <-make(chan int):
	case <-time.After(5 * time.Millisecond):
		fmt.Println("timed out")
	}
}

func recovered(name string, f func()) {
	defer func() {
		err := recover()
		var re runtime.Error
		if e, ok := err.(error); ok && errors.As(e, &re) {
			fmt.Println(name, "recovered:", e)
		}
	}()
	f()
}

func panics() {
	var n *node
	zero := 0
	recovered("nil", func() { fmt.Println(n.value) })
	recovered("divide", func() { fmt.Println(1 / zero) })
	recovered("index", func() { fmt.Println([]int{1}[zero+3]) })
	count := 0
	for i := 0; i < 2000; i++ {
		func() {
			defer func() {
				if recover() != nil {
					count++
				}
			}()
			n.value = i
		}()
	}
	fmt.Println("panics", count)
}

var sink [][]byte

func garbage() {
	var list *node
	for i := 0; i < 200000; i++ {
		list = &node{list, i}
		if i%1000 == 0 {
			sink = append(sink, make([]byte, 10000))
		}
		if i%20000 == 0 {
			sink = nil
		}
	}
	length := 0
	for n := list; n != nil; n = n.next {
		length++
	}
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Println("list", length, stats.NumGC > 1)
	debug.FreeOSMemory()
}

func signals() {
	caught := make(chan os.Signal, 4)
	signal.Notify(caught, syscall.SIGUSR1, syscall.SIGHUP)
	syscall.Kill(syscall.Getpid(), syscall.SIGUSR1)
	fmt.Println(<-caught)
	syscall.Kill(syscall.Getpid(), syscall.SIGHUP)
	fmt.Println(<-caught)
}

// A loop without calls: only a signal can take its thread away.
func preemption() {
	var stop int32
	go func() {
		time.Sleep(5 * time.Millisecond)
		atomic.StoreInt32(&stop, 1)
	}()
	spins := 0
	for atomic.LoadInt32(&stop) == 0 {
		for i := 0; i < 1000; i++ {
			spins ^= i
		}
	}
	fmt.Println("preempted")
}

func files() {
	name := os.TempDir() + "/many-go"
	fmt.Println(os.WriteFile(name, make([]byte, 100000), 0o600))
	data, err := os.ReadFile(name)
	fmt.Println(len(data), err)
	fmt.Printf("%x\n", sha256.Sum256(data))
	os.Remove(name)
	_, err = os.Stat(name)
	fmt.Println(err)
	r, w, _ := os.Pipe()
	go func() {
		time.Sleep(time.Millisecond)
		w.WriteString("through a pipe")
		w.Close()
	}()
	buffer := make([]byte, 100)
	n, err := r.Read(buffer)
	fmt.Println(string(buffer[:n]), err)
	r2, w2, _ := os.Pipe()
	defer w2.Close()
	r2.SetReadDeadline(time.Now().Add(3 * time.Millisecond))
	_, err = r2.Read(buffer)
	fmt.Println(errors.Is(err, os.ErrDeadlineExceeded))
	entries, _ := os.ReadDir("/usr/lib/go-none")
	fmt.Println(len(entries))
}

func lockedThreads() {
	var group sync.WaitGroup
	ids := make([]int, 50)
	for i := range ids {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			runtime.LockOSThread()
			ids[i] = syscall.Gettid()
			time.Sleep(10 * time.Millisecond)
		}(i)
	}
	group.Wait()
	sort.Ints(ids)
	distinct := 1
	for i := 1; i < len(ids); i++ {
		if ids[i] != ids[i-1] {
			distinct++
		}
	}
	fmt.Println("threads", distinct)
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "cpus" {
		fmt.Println(runtime.NumCPU() == runtime.GOMAXPROCS(0))
		return
	}
	goroutines()
	pipeline()
	timers()
	panics()
	garbage()
	signals()
	preemption()
	files()
	lockedThreads()
}
