// Streams, their capture, events and graphs.
#include "driver.h"

namespace standin {

namespace {
constexpr unsigned non_blocking = 1, disable_timing = 2;
}

Stream* Driver::stream(void* handle) {
    if (!handle || handle == reinterpret_cast<void*>(1)) return &null_stream;
    return streams.holds(handle) ? static_cast<Stream*>(handle) : nullptr;
}

Result Driver::run(const Operation& operation) {
    Result result = operation();
    if (result == ILLEGAL_ADDRESS || result == MISALIGNED_ADDRESS || result == LAUNCH_FAILED) {
        lost = result;
        return SUCCESS;  // a device fails behind the back of the call that enqueued the work
    }
    return result;
}

Result Driver::submit(Stream& stream, Operation operation) {
    if (&stream == &null_stream) TRY(legacy_stream());
    if (!stream.capture) return run(operation);
    if (!stream.capture->valid) return CAPTURE_INVALIDATED;
    stream.since++;
    stream.capture->operations.push_back(std::move(operation));
    return SUCCESS;
}

Result Driver::unsafe_in_capture() {
    Result result = SUCCESS;
    for (auto& weak : captures) {
        auto capture = weak.lock();
        bool mine = capture && capture->thread == std::this_thread::get_id();
        if (!capture || capture->mode == 2 || (capture->mode == 1 && !mine)) continue;
        capture->valid = false;
        result = CAPTURE_UNSUPPORTED;
    }
    return result;
}

Result Driver::legacy_stream() {
    for (auto& weak : captures) {
        auto capture = weak.lock();
        if (!capture || !capture->blocking) continue;
        capture->valid = false;
        return CAPTURE_IMPLICIT;
    }
    return SUCCESS;
}

EXPORT Result cuStreamCreate(void** stream, unsigned flags) {
    ENTER();
    if (!stream || flags > non_blocking) return INVALID_VALUE;
    Stream* made = d.streams.add(new Stream);
    made->flags = flags;
    *stream = made;
    return SUCCESS;
}

EXPORT Result cuStreamDestroy_v2(Stream* stream) {
    ENTER();
    if (d.streams.holds(stream) && stream->capture) stream->capture->valid = false;
    return d.streams.remove(stream) ? SUCCESS : INVALID_HANDLE;
}

// All work is done when its call returns; what is left are the errors of asking while a stream is captured.
EXPORT Result cuStreamSynchronize(void* stream) {
    ENTER();
    STREAM(s, stream);
    if (s == &d.null_stream) return d.legacy_stream();
    if (!s->capture) return SUCCESS;
    s->capture->valid = false;
    return CAPTURE_UNSUPPORTED;
}
EXPORT Result cuStreamQuery(void* stream) { return cuStreamSynchronize(stream); }

EXPORT Result cuStreamIsCapturing(void* stream, int* status) {
    ENTER();
    STREAM(s, stream);
    if (!status) return INVALID_VALUE;
    *status = !s->capture ? 0 : s->capture->valid ? 1 : 2;
    return SUCCESS;
}

EXPORT Result cuStreamBeginCapture_v2(void* stream, int mode) {
    ENTER();
    STREAM(s, stream);
    if (s == &d.null_stream) return CAPTURE_UNSUPPORTED;
    if (mode < 0 || mode > 2) return INVALID_VALUE;
    if (s->capture) return ILLEGAL_STATE;
    s->capture = std::make_shared<Capture>();
    s->capture->mode = mode;
    s->capture->thread = std::this_thread::get_id();
    s->capture->blocking = !(s->flags & non_blocking);
    s->origin = true;
    d.captures.push_back(s->capture);
    return SUCCESS;
}

EXPORT Result cuStreamEndCapture(void* stream, Graph** graph) {
    ENTER();
    STREAM(s, stream);
    if (!graph) return INVALID_VALUE;
    *graph = nullptr;
    if (!s->capture || !s->origin) return ILLEGAL_STATE;
    if (s->capture->mode != 2 && s->capture->thread != std::this_thread::get_id()) return CAPTURE_WRONG_THREAD;
    auto capture = std::move(s->capture);
    s->capture = nullptr;
    s->origin = false;
    bool joined = true;
    for (Stream* other : d.streams.all()) {
        if (other->capture != capture) continue;
        joined = joined && other->since == 0;
        other->capture = nullptr;
        other->since = 0;
    }
    s->since = 0;
    for (size_t i = d.captures.size(); i-- > 0;)
        if (d.captures[i].lock() == capture || d.captures[i].expired()) d.captures.erase(d.captures.begin() + i);
    if (!capture->valid) return CAPTURE_INVALIDATED;
    if (!joined) return CAPTURE_UNJOINED;
    *graph = d.graphs.add(new Graph{std::move(capture->operations)});
    return SUCCESS;
}

EXPORT Result cuEventCreate(Event** event, unsigned flags) {
    ENTER();
    if (!event) return INVALID_VALUE;
    *event = d.events.add(new Event);
    (*event)->flags = flags;
    return SUCCESS;
}

EXPORT Result cuEventDestroy_v2(Event* event) {
    ENTER();
    return d.events.remove(event) ? SUCCESS : INVALID_HANDLE;
}

EXPORT Result cuEventRecord(Event* event, void* stream) {
    ENTER();
    STREAM(s, stream);
    if (!d.events.holds(event)) return INVALID_HANDLE;
    if (s == &d.null_stream) TRY(d.legacy_stream());
    if (s->capture && !s->capture->valid) return CAPTURE_INVALIDATED;
    event->recorded = true;
    event->time = std::chrono::steady_clock::now();
    event->capture = s->capture;
    event->stream = s;
    event->seen = s->since;
    return SUCCESS;
}

EXPORT Result cuEventSynchronize(Event* event) {
    ENTER();
    if (!d.events.holds(event)) return INVALID_HANDLE;
    auto capture = event->capture.lock();
    if (!capture) return SUCCESS;
    capture->valid = false;
    return CAPTURED_EVENT;
}
EXPORT Result cuEventQuery(Event* event) { return cuEventSynchronize(event); }

EXPORT Result cuEventElapsedTime_v2(float* milliseconds, Event* start, Event* end) {
    ENTER();
    if (!milliseconds) return INVALID_VALUE;
    for (Event* event : {start, end}) {
        if (!d.events.holds(event) || !event->recorded || event->flags & disable_timing) return INVALID_HANDLE;
        if (event->capture.lock()) return CAPTURED_EVENT;
    }
    *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
    return SUCCESS;
}
EXPORT Result cuEventElapsedTime(float* milliseconds, Event* start, Event* end) {
    return cuEventElapsedTime_v2(milliseconds, start, end);
}

// An event of a captured stream takes the stream that waits for it into the capture.
EXPORT Result cuStreamWaitEvent(void* stream, Event* event, unsigned) {
    ENTER();
    STREAM(s, stream);
    if (!d.events.holds(event)) return INVALID_HANDLE;
    auto capture = event->capture.lock();
    if (s->capture && !s->capture->valid) return CAPTURE_INVALIDATED;
    if (!capture) {
        if (!s->capture || !event->recorded) return SUCCESS;
        s->capture->valid = false;  // a graph cannot wait for what is outside of it
        return CAPTURE_ISOLATION;
    }
    if (s == &d.null_stream) return d.legacy_stream();
    if (s->capture && s->capture != capture) return CAPTURE_MERGE;
    if (!s->capture) {
        s->capture = capture;
        s->since = 1;  // to be joined, even if nothing else is enqueued
    }
    if (event->stream != s && d.streams.holds(event->stream) && event->stream->since == event->seen)
        event->stream->since = 0;
    return SUCCESS;
}

EXPORT Result cuGraphGetNodes(Graph* graph, void** nodes, size_t* count) {
    ENTER();
    if (!d.graphs.holds(graph)) return INVALID_HANDLE;
    if (!count) return INVALID_VALUE;
    size_t n = graph->operations.size();
    for (size_t i = 0; nodes && i < *count; i++) nodes[i] = i < n ? &graph->operations[i] : nullptr;
    *count = n;
    return SUCCESS;
}

EXPORT Result cuGraphInstantiateWithFlags(Graph** executable, Graph* graph, unsigned long long) {
    ENTER();
    if (!d.graphs.holds(graph)) return INVALID_HANDLE;
    if (!executable) return INVALID_VALUE;
    *executable = d.executables.add(new Graph(*graph));
    return SUCCESS;
}

EXPORT Result cuGraphUpload(Graph* executable, void* stream) {
    ENTER();
    STREAM(s, stream);
    if (s->capture) return CAPTURE_UNSUPPORTED;
    return d.executables.holds(executable) ? SUCCESS : INVALID_HANDLE;
}

EXPORT Result cuGraphLaunch(Graph* executable, void* stream) {
    ENTER();
    STREAM(s, stream);
    if (!d.executables.holds(executable)) return INVALID_HANDLE;
    for (const Operation& operation : executable->operations) {
        TRY(d.submit(*s, operation));
        if (d.lost) break;
    }
    return SUCCESS;
}

EXPORT Result cuGraphDestroy(Graph* graph) {
    ENTER();
    return d.graphs.remove(graph) ? SUCCESS : INVALID_HANDLE;
}

EXPORT Result cuGraphExecDestroy(Graph* executable) {
    ENTER();
    return d.executables.remove(executable) ? SUCCESS : INVALID_HANDLE;
}

}  // namespace standin
