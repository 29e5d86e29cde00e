"""Which object detector should I fine-tune and ship, on my data, on my machine?

The rooms, top to bottom; each imports only from those below it:

    cli        commands: parse, call the flow, turn an error into an exit code
    progress   what a person sees while it runs
    flow       the story: load the suite, plan, skip what is recorded, rehearse, execute the rest, report
    night      the trials that are left, one after the other: what comes next, what is tried again, when to stop
    again      fine-tuned weights measured once more, without training
    report     what the records mean: a frame, evidence from stored detections, the page, one result against another
    execute    where a trial runs: one child process, supervised; what follows from its end; how long it will take
    trial      inside the child, the only room that imports torch: build, fine-tune, resume, evaluate, measure, record
    store      what happened: records, the lock, and every path and every durable write
    data       the user's images and boxes, without torch
    suite      what was asked: the file, its trials, the catalogue of architectures
    errors     every error and its exit code
"""

__version__ = "0.2.0"
