// Asks the shop for its pages at a fixed rate, and counts: the truth that everything else is compared with.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// In twenty requests: pages of each kind.
var mix = []string{
	"/", "/products/%d", "/products/%d", "/cart/%d", "/products/%d", "/cart/%d", "/products/%d", "/checkout", "/cart/%d", "/products/%d",
	"/", "/products/%d", "/cart/%d", "/products/%d", "/checkout", "/products/%d", "/cart/%d", "/products/%d", "/report", "/products/%d",
}

// What the full shop has beside them: in thirty requests ten of these.
var more = []string{
	"/shipping/%d", "/reviews/%d", "/receipts", "/reviews/%d", "/shipping/%d", "/reviews/%d", "/receipts", "/reviews/%d", "/shipping/%d", "/reviews/%d",
}

// Pages that are asked for with POST.
var posts = map[string]bool{"/checkout": true, "/receipts": true}

var client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

func ask(number int) (string, int) {
	page := mix[number%len(mix)]
	method, url := "GET", page
	if strings.Contains(page, "%d") {
		url = fmt.Sprintf(page, number%1000+1)
	}
	if posts[page] {
		method = "POST"
	}
	request, _ := http.NewRequest(method, "http://127.0.0.1:18080"+url, nil)
	response, err := client.Do(request)
	if err != nil {
		return method + " " + page, 0
	}
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body)
	return method + " " + page, response.StatusCode
}

func main() {
	rate := flag.Float64("rate", 50, "requests a second")
	seconds := flag.Float64("seconds", 0, "end after this long; 0: when told to")
	all := flag.Bool("all", false, "the pages of the full shop too")
	flag.Parse()
	if *all {
		mix = append(mix, more...)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	if *seconds > 0 {
		time.AfterFunc(time.Duration(*seconds*float64(time.Second)), func() { stop <- syscall.SIGTERM })
	}
	counts, lock, running := map[string]map[int]int{}, sync.Mutex{}, sync.WaitGroup{}
	ticker := time.NewTicker(time.Duration(float64(time.Second) / *rate))
	for number := 0; ; number++ {
		select {
		case <-ticker.C:
		case <-stop:
			running.Wait()
			json.NewEncoder(os.Stdout).Encode(counts)
			return
		}
		running.Add(1)
		go func(number int) {
			defer running.Done()
			page, status := ask(number)
			lock.Lock()
			defer lock.Unlock()
			if counts[page] == nil {
				counts[page] = map[int]int{}
			}
			counts[page][status]++
		}(number)
	}
}
