// A client of Go's standard library: eight goroutines over kept connections. Prints how many answers it has got.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

func main() {
	url := os.Args[1]
	count, err := strconv.Atoi(os.Args[2])
	if err != nil {
		panic(err)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	var answers atomic.Int64
	var workers sync.WaitGroup
	for worker := 0; worker < 8; worker++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := 0; i < count/8; i++ {
				response, err := client.Post(url, "text/plain", strings.NewReader(strings.Repeat("b", i%5000)))
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				io.Copy(io.Discard, response.Body)
				response.Body.Close()
				answers.Add(1)
			}
		}()
	}
	workers.Wait()
	fmt.Println(answers.Load())
}
