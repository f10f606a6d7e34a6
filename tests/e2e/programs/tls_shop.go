// HTTPS of Go: tls_shop serve PORT CERT KEY, tls_shop ask URL COUNT, over four connections; tls_shop ask2 URL COUNT, by HTTP/2 over one
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
)

const workers = 4

func serve(port, cert, key string) {
	http.HandleFunc("/", func(answer http.ResponseWriter, _ *http.Request) { io.WriteString(answer, "fine\n") })
	panic(http.ListenAndServeTLS("127.0.0.1:"+port, cert, key, nil))
}

func worker(client *http.Client, url string, count int) {
	for i := 0; i < count; i++ {
		answer, err := client.Get(url)
		if err != nil {
			panic(err)
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
}

func ask(url string, count int, http2 bool) {
	// Nobody's authority is looked at: what is tested is not the client. HTTP/2 is not offered by itself then.
	settings := &tls.Config{InsecureSkipVerify: true}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: settings, MaxIdleConnsPerHost: workers, ForceAttemptHTTP2: http2}}
	var group sync.WaitGroup
	for i := 0; i < workers; i++ {
		group.Add(1)
		share := (count + i) / workers
		go func() {
			defer group.Done()
			worker(client, url, share)
		}()
	}
	group.Wait()
	fmt.Println("answered")
}

func main() {
	if os.Args[1] == "serve" {
		serve(os.Args[2], os.Args[3], os.Args[4])
	}
	count, _ := strconv.Atoi(os.Args[3])
	ask(os.Args[2], count, os.Args[1] == "ask2")
}
