/* A stand-in for libnvidia-ml.so.1: NVML's functions, structs and error codes as nvml.h declares them, on boards that
 * the environment describes.
 *
 * FAKE_NVML_BOARDS     names of the boards, separated by commas; board i is GPU-000i-..., i being its number
 * FAKE_NVML_ERRORS     "function=code ...": these functions return that error
 * FAKE_NVML_PROCESSES  "pid:mib:look,look ...": processes with a compute context on every board; pid 0 is the caller's
 *                      own, mib -1 is memory that is not known, a look is "percent+percent": samples that have come
 *                      when utilisation is asked for the first, second ... time. After the last look none comes, or,
 *                      where the list ends in "...", the last look's again and again.
 * FAKE_NVML_CLIENTS    "pid:mib ...": clients of MPS
 * FAKE_NVML_SPIN_US    for so long the processor is busy in each call about a board's present
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7 };
enum { MAX_BOARDS = 8, MAX_PROCESSES = 16, MAX_SAMPLES = 64, MAX_TEXT = 512 };

typedef struct { int number, num_looks; unsigned long long millijoules; } Board;
typedef struct { unsigned int gpu, memory; } Utilization;
typedef struct {
    unsigned int pid;
    unsigned long long timeStamp;
    unsigned int smUtil, memUtil, encUtil, decUtil;
} ProcessUtilizationSample;
typedef struct {
    unsigned int pid;
    unsigned long long usedGpuMemory;
    unsigned int gpuInstanceId, computeInstanceId;
} ProcessInfo;
typedef struct { unsigned int version; int sensorType, temperature; } Temperature;

static Board boards[MAX_BOARDS];

static int failure(const char *function) {
    const char *errors = getenv("FAKE_NVML_ERRORS");
    char key[128];
    snprintf(key, sizeof key, "%s=", function);
    const char *found = errors ? strstr(errors, key) : NULL;
    return found ? atoi(found + strlen(key)) : SUCCESS;
}

#define FAIL_IF_TOLD                                                                                                   \
    do {                                                                                                               \
        int code = failure(__func__);                                                                                  \
        if (code) return code;                                                                                         \
    } while (0)

static void spin(void) {
    const char *told = getenv("FAKE_NVML_SPIN_US");
    const clock_t until = clock() + (told ? atol(told) : 0) * (CLOCKS_PER_SEC / 1000000);
    while (told && clock() < until) {}
}

static int copy_name(int number, char *out, unsigned int size) {
    char names[512];
    snprintf(names, sizeof names, "%s", getenv("FAKE_NVML_BOARDS"));
    char *name = strtok(names, ",");
    while (name && number--) name = strtok(NULL, ",");
    if (!name) return INVALID_ARGUMENT;
    snprintf(out, size, "%s", name);
    return SUCCESS;
}

int nvmlInitWithFlags(unsigned int flags) { (void)flags; FAIL_IF_TOLD; return SUCCESS; }

int nvmlDeviceGetCount_v2(unsigned int *count) {
    char name[96];
    for (*count = 0; copy_name((int)*count, name, sizeof name) == SUCCESS; ++*count) {}
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, Board **board) {
    FAIL_IF_TOLD;
    char name[96];
    if (index >= MAX_BOARDS || copy_name((int)index, name, sizeof name)) return INVALID_ARGUMENT;
    boards[index] = (Board){(int)index, 0, 0}; /* begins anew for whoever opens it */
    *board = &boards[index];
    return SUCCESS;
}

int nvmlDeviceGetName(Board *board, char *name, unsigned int size) { return copy_name(board->number, name, size); }

int nvmlDeviceGetUUID(Board *board, char *uuid, unsigned int size) {
    snprintf(uuid, size, "GPU-000%d-fake", board->number);
    return SUCCESS;
}

int nvmlSystemGetDriverVersion(char *version, unsigned int size) {
    FAIL_IF_TOLD;
    snprintf(version, size, "580.65.06");
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(Board *board, Utilization *rates) {
    FAIL_IF_TOLD;
    spin();
    rates->gpu = 40 + (unsigned int)board->number;
    rates->memory = 10;
    return SUCCESS;
}

/* Half a joule more at each look. */
int nvmlDeviceGetTotalEnergyConsumption(Board *board, unsigned long long *millijoules) {
    FAIL_IF_TOLD;
    spin();
    *millijoules = 1000000ULL + (board->millijoules += 500);
    return SUCCESS;
}

int nvmlDeviceGetClockInfo(Board *board, int type, unsigned int *mhz) {
    (void)board;
    FAIL_IF_TOLD;
    *mhz = type == 1 ? 1500 : 0;
    return SUCCESS;
}

int nvmlDeviceGetMaxClockInfo(Board *board, int type, unsigned int *mhz) {
    (void)board;
    FAIL_IF_TOLD;
    *mhz = type == 1 ? 1710 : 0;
    return SUCCESS;
}

int nvmlDeviceGetTemperatureV(Board *board, Temperature *temperature) {
    (void)board;
    FAIL_IF_TOLD;
    temperature->temperature = 51;
    return SUCCESS;
}

static unsigned int listed_pid(const char *text) {
    const unsigned int pid = (unsigned int)strtoul(text, NULL, 10);
    return pid ? pid : (unsigned int)getpid();
}

/* As NVML does: no process is a success, and too little room an error that says how much there must be. */
static int list_processes(const char *variable, unsigned int *count, ProcessInfo *processes) {
    const char *told = getenv(variable);
    char text[MAX_TEXT], *rest = text;
    ProcessInfo found[MAX_PROCESSES];
    unsigned int num_found = 0;
    snprintf(text, sizeof text, "%s", told ? told : "");
    for (char *each; (each = strtok_r(rest, " ", &rest)) && num_found < MAX_PROCESSES;) {
        const long long mib = atoll(strchr(each, ':') + 1);
        const unsigned long long bytes = mib < 0 ? ~0ULL : (unsigned long long)mib << 20;
        found[num_found++] = (ProcessInfo){listed_pid(each), bytes, ~0u, ~0u};
    }
    const unsigned int room = *count;
    *count = num_found;
    if (room < num_found) return INSUFFICIENT_SIZE;
    if (num_found) memcpy(processes, found, num_found * sizeof *found);
    return SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(Board *board, unsigned int *count, ProcessInfo *processes) {
    (void)board;
    FAIL_IF_TOLD;
    if (processes == NULL) spin();
    return list_processes("FAKE_NVML_PROCESSES", count, processes);
}

int nvmlDeviceGetMPSComputeRunningProcesses_v3(Board *board, unsigned int *count, ProcessInfo *processes) {
    (void)board;
    FAIL_IF_TOLD;
    if (processes == NULL) spin();
    return list_processes("FAKE_NVML_CLIENTS", count, processes);
}

/* The n-th look of a process, as "percent+percent"; NULL after the last. */
static char *look(char *looks, int number) {
    char *last = NULL, *rest = looks;
    for (char *each; (each = strtok_r(rest, ",", &rest));) {
        if (strcmp(each, "...") == 0) return last;
        last = each;
        if (number-- == 0) return each;
    }
    return NULL;
}

/* Those of one look that came later than `last_seen`. */
static unsigned int add_samples(
    int number, unsigned long long last_seen, ProcessUtilizationSample *samples, unsigned int count
) {
    unsigned long long at = 4000000000000000ULL + 1000ULL * (unsigned long long)number; /* in 2096 */
    const char *told = getenv("FAKE_NVML_PROCESSES");
    char text[MAX_TEXT], *rest = text;
    snprintf(text, sizeof text, "%s", told ? told : "");
    for (char *each; (each = strtok_r(rest, " ", &rest));) {
        const unsigned int pid = listed_pid(each);
        char *percents = look(strchr(strchr(each, ':') + 1, ':') + 1, number);
        for (char *one; percents && (one = strtok_r(percents, "+", &percents)) && count < MAX_SAMPLES;) {
            const unsigned int percent = (unsigned int)strtoul(one, NULL, 10);
            if (++at > last_seen) samples[count++] = (ProcessUtilizationSample){pid, at, percent, 0, 0, 0};
        }
    }
    return count;
}

/* Those of this look and the one before it, as in a ring; with them a stale one of the caller's at 100 %. */
int nvmlDeviceGetProcessUtilization(
    Board *board, ProcessUtilizationSample *samples, unsigned int *count, unsigned long long last_seen
) {
    FAIL_IF_TOLD;
    ProcessUtilizationSample found[MAX_SAMPLES];
    unsigned int num_found = 1;
    found[0] = (ProcessUtilizationSample){(unsigned int)getpid(), 1, 100, 0, 0, 0};
    if (board->num_looks) num_found = add_samples(board->num_looks - 1, last_seen, found, num_found);
    num_found = add_samples(board->num_looks, last_seen, found, num_found);
    if (samples == NULL) spin();
    if (num_found == 1) return board->num_looks++, NOT_FOUND;
    if (samples == NULL) return *count = num_found, INSUFFICIENT_SIZE;
    memcpy(samples, found, num_found * sizeof *found);
    *count = num_found;
    ++board->num_looks;
    return SUCCESS;
}
