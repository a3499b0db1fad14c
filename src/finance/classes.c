/* SPDX-License-Identifier: Apache-2.0 */
#include "classes.h"

static const struct {
    const char *name, *weight, *words, *action;
} classes[] = {
    {"matched", "agreed", "Journal and acquirer agree", ""},
    {"not_paid", "agreed", "Declined or cancelled before anything was sent", ""},
    {"taken_back", "agreed",
     "Sent, not answered, taken back: the acquirer shows the sale and its reversal", ""},
    {"never_arrived", "agreed",
     "Sent, not answered, taken back: the acquirer never had it, nothing was captured", ""},
    {"cancelled_out", "agreed", "Paid and cancelled; the acquirer shows neither, nothing is owed",
     ""},
    {"pending", "pending", "Still on the device, waiting for the network",
     "Bring the device into coverage; keep its journal as evidence if it cannot be brought"},
    {"ahead_of_journal", "pending",
     "The acquirer has it already; its answer has not reached the device",
     "Bring the device into coverage and import its journal again"},
    {"amount_mismatch", "break", "Both sides have it, with different amounts or currencies",
     "Dispute with the acquirer: the journal holds the amount the card signed"},
    {"duplicate_at_acquirer", "break", "The acquirer booked it a second time",
     "Ask the acquirer to take the second booking back"},
    {"captured_though_not_paid", "break",
     "The acquirer captured a payment that the journal shows as declined or cancelled",
     "Refund the customer; ask the acquirer why"},
    {"captured_without_answer", "break",
     "The acquirer captured a payment whose answer was lost and that was never taken back",
     "Find the device: its journal is older than the acquirer's file, or a reversal is missing"},
    {"missing_in_journal", "break", "The acquirer has a line that no imported journal knows",
     "Import the terminal's journal; if it is complete, dispute the line"},
    {"missing_at_acquirer", "break", "Paid and accepted by the journal, absent in the file",
     "Wait for the next file if the cut-off is near; else claim it with the approval code"},
    {"reversal_missing_at_acquirer", "break",
     "Cancelled by the journal and accepted, but the acquirer shows the sale alone",
     "Ask the acquirer to book the reversal: the customer is owed the amount"},
    {"reversal_without_sale", "break", "The acquirer booked a reversal of a sale that it never had",
     "Ask the acquirer to take the reversal out: it is deducted without a sale"},
    {"given_up", "break", "Sent until the limit of repeats and never answered",
     "Send it to the acquirer by hand, with the journal's record as evidence"},
};

int classes_load(struct ledger *l)
{
    int err = ledger_run(l, "DELETE FROM class");
    for (size_t i = 0; i < sizeof classes / sizeof classes[0] && err == DP_OK; i++)
        err = ledger_exec(l, "INSERT INTO class (name, weight, words, action) VALUES (?,?,?,?)",
                          "tttt", classes[i].name, classes[i].weight, classes[i].words,
                          classes[i].action);
    return err;
}
