// An HTTP server at port 8000: /hash answers with the SHA-256 of the body, /primes?below=N with
// the prime numbers below N, sieved by a goroutine for each, /header/NAME with the request's
// header NAME.
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
)

func hash(response http.ResponseWriter, request *http.Request) {
	sum := sha256.New()
	if _, err := io.Copy(sum, request.Body); err != nil {
		http.Error(response, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(response, "%x", sum.Sum(nil))
}

// without passes on the numbers that prime does not divide.
func without(prime int, in <-chan int) <-chan int {
	out := make(chan int)
	go func() {
		defer close(out)
		for n := range in {
			if n%prime != 0 {
				out <- n
			}
		}
	}()
	return out
}

func primes(response http.ResponseWriter, request *http.Request) {
	below, err := strconv.Atoi(request.URL.Query().Get("below"))
	if err != nil {
		http.Error(response, err.Error(), http.StatusBadRequest)
		return
	}
	numbers := make(chan int)
	go func() {
		defer close(numbers)
		for n := 2; n < below; n++ {
			numbers <- n
		}
	}()
	var sieved <-chan int = numbers
	for {
		prime, more := <-sieved
		if !more {
			return
		}
		fmt.Fprintln(response, prime)
		sieved = without(prime, sieved)
	}
}

func header(response http.ResponseWriter, request *http.Request) {
	fmt.Fprint(response, request.Header.Get(strings.TrimPrefix(request.URL.Path, "/header/")))
}

func main() {
	http.HandleFunc("/hash", hash)
	http.HandleFunc("/primes", primes)
	http.HandleFunc("/header/", header)
	listener, err := net.Listen("tcp", ":8000")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening")
	log.Fatal(http.Serve(listener, nil))
}
