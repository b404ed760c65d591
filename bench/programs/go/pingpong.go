// Two goroutines pass a number to and fro through unbuffered channels.
package main

import "fmt"

const rounds = 1000000

func main() {
	ping, pong := make(chan int), make(chan int)
	go func() {
		for value := range ping {
			pong <- value + 1
		}
	}()
	value := 0
	for i := 0; i < rounds; i++ {
		ping <- value
		value = <-pong
	}
	close(ping)
	fmt.Println("result", value)
}
