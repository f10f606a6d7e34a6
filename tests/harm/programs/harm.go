// HTTPS of Go with bodies that are checked: harm serve ADDRESS CERT KEY FOLDER, harm ask URL FOLDER ROUNDS (0: for ever)
//
// A round asks for each file of the folder and sends it back to be echoed, on two connections at once. Its line is how many
// bytes came and a hash over all status codes, lengths and bodies in order.
package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const workers = 2
const roundsOfConnection = 5

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func answer(folder string) http.HandlerFunc {
	return func(answer http.ResponseWriter, request *http.Request) {
		if request.Method == "POST" {
			// All of it first: the server reads no more of a request once it has begun to answer.
			body, err := io.ReadAll(request.Body)
			check(err)
			answer.Write(body)
			return
		}
		body, err := os.ReadFile(filepath.Join(folder, filepath.Base(request.URL.Path)))
		check(err)
		answer.Write(body)
	}
}

type exchange struct {
	status int
	body   []byte
}

func receive(answer *http.Response, err error) exchange {
	check(err)
	body, err := io.ReadAll(answer.Body)
	check(err)
	answer.Body.Close()
	return exchange{answer.StatusCode, body}
}

func round(client *http.Client, url, folder string) string {
	hash, total := sha256.New(), 0
	names, _ := filepath.Glob(folder + "/*")
	for _, name := range names {
		sent, err := os.ReadFile(name)
		check(err)
		got := receive(client.Get(url + "/" + filepath.Base(name)))
		echo := receive(client.Post(url+"/echo", "text/plain", bytes.NewReader(sent)))
		for _, one := range []exchange{got, echo} {
			fmt.Fprintf(hash, "%d %d ", one.status, len(one.body))
			hash.Write(one.body)
			total += len(one.body)
		}
	}
	return fmt.Sprintf("%d %x", total, hash.Sum(nil))
}

func ask(url, folder string, rounds int) {
	var clients [workers]*http.Client
	for i := range clients {
		// Nobody's authority is looked at: what is tested is not the client. Without an offer of HTTP/2.
		settings := &tls.Config{InsecureSkipVerify: true}
		clients[i] = &http.Client{Transport: &http.Transport{TLSClientConfig: settings}}
	}
	for done := 0; rounds == 0 || done < rounds; done++ {
		lines := make(chan string, workers)
		for _, client := range clients {
			if done%roundsOfConnection == 0 {
				client.CloseIdleConnections()
			}
			go func() { lines <- round(client, url, folder) }()
		}
		for range workers {
			fmt.Println(<-lines)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func main() {
	if os.Args[1] == "serve" {
		http.HandleFunc("/", answer(os.Args[5]))
		panic(http.ListenAndServeTLS(os.Args[2], os.Args[3], os.Args[4], nil))
	}
	rounds, err := strconv.Atoi(os.Args[4])
	check(err)
	ask(os.Args[2], os.Args[3], rounds)
}
