// LiveKit's SipServiceClient for the JVM: makes trunks and a rule, places a call, takes all of it back.
//
//     java -cp '.peers/jvm/*' PlaceCall.java URL KEY SECRET CARRIER NUMBER
//
// Writes what the server answered as JSON, a line each: {"said": …} or {"refused": …, "status": 400}.

import com.google.protobuf.MessageOrBuilder;
import com.google.protobuf.util.JsonFormat;
import io.livekit.server.CreateSipDispatchRuleOptions;
import io.livekit.server.CreateSipInboundTrunkOptions;
import io.livekit.server.CreateSipParticipantOptions;
import io.livekit.server.SipDispatchRuleIndividual;
import io.livekit.server.SipServiceClient;
import io.livekit.server.TransferSipParticipantOptions;
import java.util.List;
import livekit.LivekitSip.SIPDispatchRuleInfo;
import livekit.LivekitSip.SIPInboundTrunkInfo;
import livekit.LivekitSip.SIPOutboundTrunkInfo;
import retrofit2.Call;
import retrofit2.Response;

public final class PlaceCall {
    public static void main(String[] arguments) throws Exception {
        SipServiceClient sip = SipServiceClient.createClient(arguments[0], arguments[1], arguments[2]);
        String carrier = arguments[3], number = arguments[4];

        CreateSipInboundTrunkOptions limits = new CreateSipInboundTrunkOptions();
        limits.setAllowedAddresses(List.of("192.0.2.0/24"));
        SIPInboundTrunkInfo inbound =
                ask(sip.createSipInboundTrunk("in", List.of("+15105550100"), limits));
        ask(sip.createSipInboundTrunk("again", List.of("+15105550100")));

        CreateSipDispatchRuleOptions options = new CreateSipDispatchRuleOptions();
        options.setName("rule");
        options.setTrunkIds(List.of(inbound.getSipTrunkId()));
        SIPDispatchRuleInfo rule =
                ask(sip.createSipDispatchRule(new SipDispatchRuleIndividual("call", "12"), options));

        SIPOutboundTrunkInfo outbound =
                ask(sip.createSipOutboundTrunk("out", carrier, List.of("+15105550199")));
        CreateSipParticipantOptions wishes =
                new CreateSipParticipantOptions(
                        "phone", "Phone", "metadata", "12", true, false, false, true);
        ask(sip.createSipParticipant(outbound.getSipTrunkId(), number, "room", wishes));
        ask(sip.transferSipParticipant("room", "nobody", "tel:+1", new TransferSipParticipantOptions()));

        ask(sip.deleteSipDispatchRule(rule.getSipDispatchRuleId()));
        ask(sip.deleteSipTrunk(inbound.getSipTrunkId()));
        System.exit(0); // its connections would be kept for minutes
    }

    private static <T> T ask(Call<T> call) throws Exception {
        Response<T> response = call.execute();
        if (!response.isSuccessful()) {
            String error = response.errorBody().string();
            System.out.printf("{\"refused\": %s, \"status\": %d}%n", error, response.code());
            return null;
        }
        T body = response.body();
        String said = "null";
        if (body instanceof MessageOrBuilder) {
            said = JsonFormat.printer().omittingInsignificantWhitespace().print((MessageOrBuilder) body);
        }
        System.out.printf("{\"said\": %s}%n", said);
        return body;
    }
}
