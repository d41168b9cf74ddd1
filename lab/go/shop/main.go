// The example's one program: frontend and backend of a shop, told apart by the environment. It behaves as proofs need
// a backend to behave: it echoes bodies of any size, waits when it is asked to, and the frontend asks the backend.
//
//	/            who answers
//	/echo        the body that was sent
//	/wait?s=N    an answer after N seconds
//	/backend     what the backend answers to the frontend
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"
)

const (
	address = ":8080"
	// backendTimeout bounds what the frontend waits for the backend: a policy that drops packets gives no answer.
	backendTimeout = 3 * time.Second
)

func main() {
	name, _ := os.Hostname()
	role, backend := os.Getenv("ROLE"), os.Getenv("BACKEND")

	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s\n", role, name)
	})
	http.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		// The whole body is read before any of it is sent back: nginx does not read an answer while it still sends the
		// request, and both sides would wait for each other until a time-out.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		if _, err := w.Write(body); err != nil {
			log.Printf("echo: %v", err)
		}
	})
	http.HandleFunc("/wait", func(w http.ResponseWriter, r *http.Request) {
		seconds, err := strconv.Atoi(r.URL.Query().Get("s"))
		if err != nil || seconds < 0 {
			http.Error(w, "s must be a number of seconds, as in /wait?s=5", http.StatusBadRequest)
			return
		}
		select {
		case <-time.After(time.Duration(seconds) * time.Second):
			fmt.Fprintf(w, "%s waited %d s\n", role, seconds)
		case <-r.Context().Done():
		}
	})
	http.HandleFunc("/backend", func(w http.ResponseWriter, r *http.Request) {
		if backend == "" {
			http.Error(w, "this is no frontend: BACKEND is not set", http.StatusNotFound)
			return
		}
		answer, err := (&http.Client{Timeout: backendTimeout}).Get(backend)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		w.WriteHeader(answer.StatusCode)
		if _, err := io.Copy(w, answer.Body); err != nil {
			log.Printf("backend: %v", err)
		}
	})
	log.Printf("%s listens on %s", role, address)
	log.Fatal(http.ListenAndServe(address, nil))
}
