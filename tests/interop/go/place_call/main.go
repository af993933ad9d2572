// LiveKit's SDK for Go: makes trunks and a rule, asks for an agent, calls a phone that answers and one
// that is busy, and takes all of it back.
//
//	place_call CARRIER BUSY_CARRIER NUMBER
//
// The server and its keys are in LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET. Writes what the
// server answered as JSON, a line each: {"said": …}, or {"refused": …} with what is known of the refusal.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const room = "room"

type server struct {
	sip        *lksdk.SIPClient
	rooms      *lksdk.RoomServiceClient
	dispatches *lksdk.AgentDispatchClient
}

func main() {
	carrier, busy, number := os.Args[1], os.Args[2], os.Args[3]
	url, key, secret := os.Getenv("LIVEKIT_URL"), os.Getenv("LIVEKIT_API_KEY"), os.Getenv("LIVEKIT_API_SECRET")
	to := server{
		lksdk.NewSIPClient(url, key, secret),
		lksdk.NewRoomServiceClient(url, key, secret),
		lksdk.NewAgentDispatchServiceClient(url, key, secret),
	}
	ctx := context.Background()
	inbound, rule := to.makeTrunkAndRule(ctx)
	tell(to.dispatches.CreateDispatch(ctx, &livekit.CreateAgentDispatchRequest{
		Room: room, AgentName: "my-telephony-agent", Metadata: `{"phone_number": "` + number + `"}`,
	}))
	answering, engaged := to.makeOutboundTrunks(ctx, carrier, busy)
	to.call(ctx, answering.SipTrunkId, number, "phone")
	to.call(ctx, engaged.SipTrunkId, number, "engaged")
	tell(to.rooms.GetParticipant(ctx, &livekit.RoomParticipantIdentity{Room: room, Identity: "phone"}))
	tell(to.sip.TransferSIPParticipant(ctx, &livekit.TransferSIPParticipantRequest{
		RoomName: room, ParticipantIdentity: "nobody", TransferTo: "tel:+1",
	}))
	tell(to.rooms.DeleteRoom(ctx, &livekit.DeleteRoomRequest{Room: room}))
	tell(to.sip.DeleteSIPDispatchRule(ctx, &livekit.DeleteSIPDispatchRuleRequest{SipDispatchRuleId: rule.SipDispatchRuleId}))
	tell(to.sip.DeleteSIPTrunk(ctx, &livekit.DeleteSIPTrunkRequest{SipTrunkId: inbound.SipTrunkId}))
}

func (to server) makeTrunkAndRule(ctx context.Context) (*livekit.SIPInboundTrunkInfo, *livekit.SIPDispatchRuleInfo) {
	wanted := func() *livekit.CreateSIPInboundTrunkRequest {
		return &livekit.CreateSIPInboundTrunkRequest{Trunk: &livekit.SIPInboundTrunkInfo{
			Name: "in", Numbers: []string{"+15105550100"}, AllowedAddresses: []string{"192.0.2.0/24"},
		}}
	}
	trunk := tell(to.sip.CreateSIPInboundTrunk(ctx, wanted()))
	tell(to.sip.CreateSIPInboundTrunk(ctx, wanted()))
	rule := tell(to.sip.CreateSIPDispatchRule(ctx, &livekit.CreateSIPDispatchRuleRequest{
		DispatchRule: &livekit.SIPDispatchRuleInfo{
			Name:     "rule",
			TrunkIds: []string{trunk.SipTrunkId},
			Rule: &livekit.SIPDispatchRule{Rule: &livekit.SIPDispatchRule_DispatchRuleIndividual{
				DispatchRuleIndividual: &livekit.SIPDispatchRuleIndividual{RoomPrefix: "call", Pin: "12"},
			}},
		},
	}))
	return trunk, rule
}

func (to server) makeOutboundTrunks(ctx context.Context, addresses ...string) (*livekit.SIPOutboundTrunkInfo, *livekit.SIPOutboundTrunkInfo) {
	var made []*livekit.SIPOutboundTrunkInfo
	for _, address := range addresses {
		made = append(made, tell(to.sip.CreateSIPOutboundTrunk(ctx, &livekit.CreateSIPOutboundTrunkRequest{
			Trunk: &livekit.SIPOutboundTrunkInfo{Name: "out", Address: address, Numbers: []string{"+15105550199"}},
		})))
	}
	tell(to.sip.ListSIPOutboundTrunk(ctx, &livekit.ListSIPOutboundTrunkRequest{}))
	return made[0], made[1]
}

func (to server) call(ctx context.Context, trunk, number, identity string) {
	displayName := "My Custom Display Name"
	tell(to.sip.CreateSIPParticipant(ctx, &livekit.CreateSIPParticipantRequest{
		SipTrunkId:          trunk,
		SipCallTo:           number,
		RoomName:            room,
		ParticipantIdentity: identity,
		ParticipantName:     "Test Caller",
		DisplayName:         &displayName,
		KrispEnabled:        true,
		PlayDialtone:        true,
		WaitUntilAnswered:   true,
	}))
}

// tell writes what became of a request, and hands its answer on.
func tell[M proto.Message](said M, failure error) M {
	facts := map[string]any{}
	if failure == nil {
		facts["said"] = json.RawMessage(protojson.Format(said))
	} else {
		facts["refused"] = factsOf(failure)
	}
	line, err := json.Marshal(facts)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
	return said
}

func factsOf(failure error) map[string]any {
	facts := map[string]any{"text": failure.Error()}
	var refusal twirp.Error
	if errors.As(failure, &refusal) {
		facts["code"], facts["message"] = refusal.Code(), refusal.Msg()
		facts["metadata"] = refusal.MetaMap()
	}
	if status := lksdk.SIPStatusFrom(failure); status != nil {
		facts["sip"] = map[string]any{"code": status.Code, "status": status.Status}
	}
	return facts
}
