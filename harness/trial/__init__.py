"""Inside the child: build, fine-tune, evaluate, measure, record one trial. The only room that imports torch."""
